"""JSON that carries its own checksum, so that a flipped bit is an error and not another number."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from t2i_jax import paths
from t2i_jax.training import files

SEAL = "crc32"


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """The dict with the checksum of its JSON as one more field, the last."""
    return {**value, SEAL: _checksum(value)}


def unseal(value: Mapping[str, Any]) -> dict[str, Any]:
    """The dict without its checksum, if it has one, as those of older runs have none. Raises
    ValueError for another one.
    """
    rest = {k: v for k, v in value.items() if k != SEAL}
    if SEAL in value and value[SEAL] != _checksum(rest):
        raise ValueError(f"its checksum should be {value[SEAL]!r} and is {_checksum(rest)!r}")
    return rest


def read(path: paths.Path) -> dict[str, Any]:
    """A sealed file. Raises FileNotFoundError, and ValueError naming a file that is damaged."""
    try:
        value = json.loads(paths.read_bytes(path).decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"it holds {type(value).__name__} instead of fields")
        return unseal(value)
    except ValueError as error:  # of UTF-8 and of JSON, too
        raise ValueError(
            f"{path} is damaged: {error}. Take it from a copy of the run; or, if it was edited on "
            f'purpose and is JSON, delete its field "{SEAL}"'
        ) from error


def write(path: paths.Path, value: Mapping[str, Any]) -> None:
    """Writes a sealed file, whole or not at all."""
    files.write(path, json.dumps(seal(value), indent=2) + "\n")


def _checksum(value: Mapping[str, Any]) -> str:
    # Of a text that no way of writing the file changes.
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"
