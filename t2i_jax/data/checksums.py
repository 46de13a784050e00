"""Checksums of the small files of a prepared set. Records carry their own."""

import json
import zlib

from etils import epath

from t2i_jax.data.report import DataError

FILE = "checksums.json"
_ALWAYS = ("dataset_info.json", "features.json", "metadata.json", "prepare_report.json")


def write(path: epath.Path) -> None:
    """Writes ``checksums.json`` into the folder of a prepared set's version."""
    names = [*_ALWAYS, *sorted(f.name for f in path.glob("labels-*.npy"))]
    (path / FILE).write_text(json.dumps({name: _crc32(path / name) for name in names}, indent=2))


def check(path: epath.Path) -> None:
    """Raises DataError where a file is missing or is not what was written. Sets that were prepared
    before there were checksums pass.
    """
    if not (path / FILE).exists():
        return
    try:
        expected = dict(json.loads((path / FILE).read_text()))
        if lacks := set(_ALWAYS) - expected.keys():
            raise ValueError(f"{FILE} lacks {', '.join(sorted(lacks))}")
        wrong = [name for name, crc32 in expected.items() if _crc32(path / name) != crc32]
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error) from error
    if wrong:
        raise damaged(path, f"{', '.join(wrong)} does not fit its checksum in {FILE}")


def damaged(path: epath.Path, why: object) -> DataError:
    """The error to raise, with the remedy."""
    return DataError(f"{path} is damaged: {why}. Prepare it again with --overwrite")


def _crc32(path: epath.Path) -> str:
    return f"{zlib.crc32(path.read_bytes()):08x}"
