"""Records of prepared sets from their bytes: tf.train.Example, as tfds writes it."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

# The value of a protobuf Feature. Raises ValueError where the feature holds more or fewer numbers.
Reader = Callable[[Any], Any]


class ExampleParser:
    """Bytes of a record -> the record, nested as its features are, with text as str.

    What tfds makes of them, in a fifth of the time: it looks at every feature of every record anew.
    Features that no prepared set of ours has, and records that lack one, are left to tfds.
    """

    def __init__(self, features: tfds.features.FeaturesDict):
        self._features = features
        self._readers = _readers(features, "")

    def __call__(self, data: bytes) -> dict[str, Any]:
        """The record; the image stays encoded. Raises ValueError for a record that lacks a feature,
        of which tfds makes None, and as tfds does for a damaged one.
        """
        if self._readers is not None:
            stored = tf_example_pb2.Example.FromString(data).features.feature
            try:
                return _record(self._readers, stored, "")
            except (KeyError, ValueError):
                pass  # tfds says what is wrong
        skip = {"image": tfds.decode.SkipDecoding()}
        record = self._features.deserialize_example_np(data, decoders=skip)
        if lacking := list(_lacking(record)):
            raise ValueError(
                f"a record lacks its features {lacking}: it was written for another version of the "
                "data set; prepare the set anew"
            )
        return {k: v if k == "image" else _plain(v) for k, v in record.items()}


def _readers(features: tfds.features.FeaturesDict, prefix: str) -> dict[str, Any] | None:
    """A reader for every feature by its name, nested; None where one has none."""
    readers = {}
    for name, feature in features.items():
        nested = isinstance(feature, tfds.features.FeaturesDict)
        key = prefix + name
        readers[name] = _readers(feature, key + "/") if nested else _reader(key, feature)
    return None if None in readers.values() else readers


def _reader(key: str, feature: tfds.features.FeatureConnector) -> Reader | None:
    kind = type(feature)
    if key == "image":
        return _bytes
    if kind is tfds.features.Text:
        return _text
    if kind is tfds.features.Sequence and type(feature.feature) is tfds.features.Text:
        return _texts
    if kind in (tfds.features.Tensor, tfds.features.Scalar):
        info = feature.get_tensor_info()
        dtype = np.dtype(info.np_dtype)
        stored = feature.get_serialized_info()  # of an encoded tensor another kind
        if isinstance(stored, type(info)) and stored == info and dtype.kind in "iuf":
            shape = tuple(-1 if side is None else side for side in info.shape)
            return functools.partial(_numbers, dtype=dtype, shape=shape)
    return None


def _record(readers: dict[str, Any], stored: Any, prefix: str) -> dict[str, Any]:
    record = {}
    for name, reader in readers.items():
        key = prefix + name
        if isinstance(reader, dict):
            record[name] = _record(reader, stored, key + "/")
        elif key in stored:  # a protobuf map would make what it lacks
            record[name] = reader(stored[key])
        else:
            raise KeyError(key)
    return record


def _bytes(feature: Any) -> bytes:
    (value,) = feature.bytes_list.value
    return value


def _text(feature: Any) -> str:
    return _bytes(feature).decode("utf-8")


def _texts(feature: Any) -> list[str]:
    return [value.decode("utf-8") for value in feature.bytes_list.value]


def _numbers(feature: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    stored = feature.int64_list if dtype.kind in "iu" else feature.float_list
    values = np.array(stored.value, dtype).reshape(shape)
    return values if shape else values.item()


def _lacking(record: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _lacking(value, f"{prefix}{name}/")
        elif value is None:
            yield prefix + name


def _plain(value: Any) -> Any:
    """tfds hands text out as bytes, and integers now of Python and now of NumPy."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.integer) else value
