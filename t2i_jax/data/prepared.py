"""Random access to one split of a prepared set."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from t2i_jax.data import checksums
from t2i_jax.data.builders.base import labels_filename
from t2i_jax.data.examples import ExampleParser
from t2i_jax.data.report import DataError

_AS_BYTES = tfds.decode.DeserializeMethod.RAW_BYTES


class PreparedSplit:
    """One split of a prepared set, with random access. Can be pickled and read from threads.

    ``split[i]`` is a record of the common schema, in the order of the source's lists: ``image``
    (encoded bytes), ``image/id``, ``image/filename`` (str), ``captions`` (list of str), ``label``
    (int, -1 for none), ``bbox`` (float32 [4], pixels of the stored image, width 0 for none), and
    where the set has them ``embeddings`` (float32 [captions, E]), ``attributes`` (dict of ints),
    ``traces`` and others.

    labels: int32 [N], the label of every record.
    label_names: names by label; empty where the set has no classes.
    info: what is known of the set: name, config, split, path, counts, features, metadata.
    """

    def __init__(self, path: epath.Path, split: str, name: str):
        """path: the folder of a prepared set's version.

        Raises:
          DataError: there is no such split, or the set is damaged.
        """
        checksums.check(path)
        try:
            self._open(path, split, name)
        except DataError:
            raise
        except Exception as error:  # of JSON, protobuf, NumPy, tfds and array_record
            raise checksums.damaged(path, error) from error

    def _open(self, path: epath.Path, split: str, name: str) -> None:
        builder = tfds.builder_from_directory(path)
        if split not in builder.info.splits:
            have = ", ".join(builder.info.splits)
            raise DataError(f"{name} has no split {split!r}; prepared in {path} are: {have}")
        self._source = builder.as_data_source(split, deserialize_method=_AS_BYTES)
        self._parse = ExampleParser(builder.info.features)
        metadata = json.loads((path / "metadata.json").read_text())
        self.labels: np.ndarray = np.load(io.BytesIO((path / labels_filename(split)).read_bytes()))
        self.label_names: list[str] = metadata.pop("label_names")
        self.info: dict[str, Any] = {
            "name": name,
            "config": path.parent.name,
            "version": path.name,
            "split": split,
            "splits": list(builder.info.splits),
            "path": str(path),
            "num_records": len(self._source),
            "features": list(builder.info.features),
            "homepage": builder.info.homepage,
            "citation": builder.info.citation,
            **metadata,
        }

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        try:
            return self._parse(self._source[index])
        except (RuntimeError, ValueError) as error:  # of array_record, and of an empty record
            why = f"record {index} of {self.info['split']} cannot be read ({error})"
            raise checksums.damaged(self.info["path"], why) from error


def captions_of(source: PreparedSplit) -> Iterator[list[str]]:
    """The captions of every record in the order of the records, read one by one as they are asked
    for. No image is decoded.
    """
    return (source[i]["captions"] for i in range(len(source)))
