"""Folders of transformers as Hugging Face keeps them: ``config.json`` and the weights, in one file
or in several with an index.
"""

from collections.abc import Collection, Mapping
from typing import Any

from t2i_jax import paths
from t2i_jax.data.text_files import parse_json
from t2i_jax.interop import files
from t2i_jax.interop.state_dict import StateDict

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_INDEX = ".index.json"


def read_json(path: paths.Path) -> dict[str, Any]:
    """The object in a file; ValueError, with its name, for anything else."""
    try:
        told = parse_json(paths.read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(told, dict):
        raise ValueError(f"{path}: an object is needed, not {type(told).__name__}")
    return told


def read_weights(folder: paths.Path) -> tuple[paths.Path, StateDict]:
    """(the file, or the index of several; all arrays by name) of a folder.

    Raises ValueError, with the file, where there are none or one cannot be read.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name, files.load_state_dict(folder / name)
        if (index := folder / f"{name}{_INDEX}").is_file():
            return index, _of_several(index)
    raise ValueError(f"{folder}: no weights there; one of {' or '.join(WEIGHTS)} is needed")


def _of_several(index: paths.Path) -> StateDict:
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(name, str) for name in where.values()):
        raise ValueError(f"{index}: its weight_map must tell the file of every array")
    state: StateDict = {}
    for name in sorted(set(where.values())):
        file = index.parent / name
        if not file.is_file():
            raise ValueError(f"{file} is missing, which {index.name} names")
        state |= files.load_state_dict(file)
    return state


def checked(
    where: str, told: Mapping[str, Any], fields: Mapping[str, str], activations: Collection[str]
) -> dict[str, Any]:
    """The values of a module's fields, in config.json's `told`.

    where: the file, and its section, for messages. fields: ours -> theirs. activations: known ones.

    Raises ValueError for absent fields, and for values that cannot be theirs.
    """
    if missing := [name for name in fields.values() if name not in told]:
        raise ValueError(f"{where}: it lacks {', '.join(missing)}")
    found = {ours: told[theirs] for ours, theirs in fields.items()}
    for ours, value in found.items():
        if wanted := _wrong(ours, value, activations):
            raise ValueError(f"{where}: {fields[ours]}={value!r}, but it must be {wanted}")
    return found


def _wrong(field: str, value: Any, activations: Collection[str]) -> str:
    """What the field must be, where the value is not that."""
    if field == "activation":
        known = isinstance(value, str) and value in activations
        return "" if known else f"one of {', '.join(activations)}"
    if field == "epsilon":
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        return "" if good else "a number from 0 to 1"
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return "" if good else "a whole number above 0"
