"""The same photos with captions in every layout that `prepare --dataset=folder` recognises."""

import io
import json
import pathlib
import tarfile
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

from .disk_sources import jpeg, jsonl, write


class Photo(NamedTuple):
    """A photo's file name, its bytes and its captions."""

    name: str
    data: bytes
    captions: list[str]


def photos(count: int, captions: int = 2) -> list[Photo]:
    """Small drawn ones."""
    texts = [[f"photo {i} says {j}" for j in range(captions)] for i in range(count)]
    return [Photo(f"{i:03d}.jpg", jpeg(24, 24, seed=i), text) for i, text in enumerate(texts)]


def captions_list(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """``captions.jsonl``."""
    for photo in given:
        write(root / photo.name, photo.data)
    rows = ({"image": photo.name, "captions": photo.captions} for photo in given)
    write(root / "captions.jsonl", jsonl(*rows))


def imagefolder(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """``metadata.jsonl``."""
    for photo in given:
        write(root / photo.name, photo.data)
    rows = ({"file_name": photo.name, "text": photo.captions} for photo in given)
    write(root / "metadata.jsonl", jsonl(*rows))


def beside(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """Text files beside the photos."""
    for photo in given:
        write(root / photo.name, photo.data)
        write(root / photo.name.replace(".jpg", ".txt"), "\n".join(photo.captions) + "\n")


def webdataset(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """Two shards: one with texts, the other with JSON."""
    given = list(given)
    half = len(given) // 2
    files = {}
    for photo in given[:half]:
        files[photo.name] = photo.data
        files[photo.name.replace(".jpg", ".txt")] = "\n".join(photo.captions)
    shard(root / "00000.tar", files)
    files = {}
    for photo in given[half:]:
        files[photo.name] = photo.data
        files[photo.name.replace(".jpg", ".json")] = json.dumps({"caption": photo.captions})
    shard(root / "00001.tar", files)


def saved(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """As `datasets` saves: a stream of record batches, and two descriptions."""
    write_arrow(root / "data-00000-of-00001.arrow", table(given), rows=7)
    write(root / "dataset_info.json", "{}" + "\n")
    names = [{"filename": "data-00000-of-00001.arrow"}]
    write(root / "state.json", json.dumps({"_data_files": names, "_split": None}))


def parquet(root: pathlib.Path, given: Iterable[Photo]) -> None:
    """As on Hugging Face's hub."""
    path = root / "data/train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pa.parquet.write_table(table(given), path, row_group_size=7)


# By the name that a layout has in the report.
LAYOUTS: Mapping[str, Callable[[pathlib.Path, Iterable[Photo]], None]] = {
    "captions.jsonl": captions_list,
    "imagefolder of Hugging Face": imagefolder,
    "text files beside images": beside,
    "webdataset shards": webdataset,
    "data set saved by Hugging Face's datasets": saved,
    "Parquet files with images": parquet,
}


def shard(path: pathlib.Path, files: Mapping[str, bytes | str]) -> pathlib.Path:
    """A tar archive of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            data = data if isinstance(data, bytes) else data.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def table(given: Iterable[Photo], **columns) -> pa.Table:
    """A column of images as `datasets` stores them, one of captions, and others."""
    given = list(given)
    images = [{"bytes": photo.data, "path": photo.name} for photo in given]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.table(
        {
            "image": pa.array(images, kind),
            "caption": [photo.captions for photo in given],
            **columns,
        }
    )


def write_arrow(path: pathlib.Path, content: pa.Table, rows: int = 1000) -> None:
    """A stream of record batches of `rows` rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, content.schema) as stream:
        stream.write_table(content, max_chunksize=rows)
