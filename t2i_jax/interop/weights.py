"""Variable trees in safetensors files: how an encoder travels between runs.

Leaves are named by their path, ``params/text/conv1/kernel``. The file's metadata holds a digest of
all names, types, shapes and values, checked on reading: a flipped bit is an error, not a slightly
different network.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from flax import traverse_util
from safetensors import SafetensorError, safe_open

from t2i_jax import paths

DIGEST = "sha256"  # the metadata key


def save(
    path: str | os.PathLike, variables: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a nested dict of arrays; `metadata` is free text by name.

    The file appears complete or not at all. Raises ValueError where a name holds "/" or `metadata`
    the digest's key, OSError where it cannot be written, as on a full disk.
    """
    arrays = _flatten(variables)
    extra = dict(metadata or {})
    if DIGEST in extra:
        raise ValueError(f"metadata key {DIGEST!r} is taken by the digest")
    if paths.protocol(path):
        packed = safetensors.numpy.save(arrays, {**extra, DIGEST: digest(variables)})
        paths.write_bytes(paths.path(path), packed)
        return
    path = os.fspath(path)
    partial = f"{path}.partial-{os.getpid()}"
    try:
        with open(partial, "wb") as file:
            mode = os.fstat(file.fileno()).st_mode
        safetensors.numpy.save_file(arrays, partial, {**extra, DIGEST: digest(variables)})
        os.chmod(partial, mode)  # safetensors 0.8.0 lets nobody but the owner read
        os.replace(partial, path)
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def load(
    path: str | os.PathLike, like: Mapping[str, Any] | None = None
) -> tuple[dict, dict[str, str]]:
    """(variables, metadata) of a file written by `save`.

    like: a tree of arrays or ShapeDtypeStructs; the file's must agree with it in names, shapes and
        types. Raises FileNotFoundError, and ValueError where the file is damaged, was not written
        by `save`, holds values that are not finite, or differs from `like`.
    """
    path = os.fspath(path)
    try:
        with (
            paths.on_disk(paths.path(path)) as file,
            safe_open(file, framework="numpy") as f,
        ):
            metadata = dict(f.metadata() or {})
            arrays = {name: f.get_tensor(name) for name in f.keys()}
    except SafetensorError as e:
        raise ValueError(f"{path}: not a readable safetensors file: {e}") from e
    variables = traverse_util.unflatten_dict(arrays, sep="/")
    stored = metadata.pop(DIGEST, None)
    if stored is None:
        raise ValueError(f"{path}: no digest in its metadata; it was not written by this library")
    if stored != digest(variables):
        raise ValueError(f"{path}: damaged: its values do not give the digest stored with them")
    _check_finite(path, arrays)
    if like is not None:
        _compare(path, arrays, like)
    return variables, metadata


def metadata(path: str | os.PathLike) -> dict[str, str]:
    """The metadata of a file written by `save`, its digest left out; the arrays are not read.

    Raises as `load`, but does not notice damaged arrays.
    """
    found = _metadata(os.fspath(path))
    found.pop(DIGEST, None)
    return found


def stored_digest(path: str | os.PathLike) -> str:
    """The digest in a file written by `save`. Reads and raises as `metadata`, and ValueError where
    there is none.
    """
    if DIGEST not in (found := _metadata(os.fspath(path))):
        raise ValueError(f"{path}: no digest in its metadata; it was not written by this library")
    return found[DIGEST]


def _metadata(path: str) -> dict[str, str]:
    try:
        with (
            paths.on_disk(paths.path(path)) as file,
            safe_open(file, framework="numpy") as f,
        ):
            return dict(f.metadata() or {})
    except SafetensorError as e:
        raise ValueError(f"{path}: not a readable safetensors file: {e}") from e


def digest(variables: Mapping[str, Any]) -> str:
    """SHA-256 over the sorted names with their types, shapes and bytes, in hexadecimal."""
    total = hashlib.sha256()
    for name, array in sorted(_flatten(variables).items()):
        total.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _flatten(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays = {}
    for names, value in traverse_util.flatten_dict(dict(variables)).items():
        if bad := [name for name in names if "/" in name]:
            raise ValueError(f"names must not hold '/': {bad[0]!r} in {names}")
        # In order: safetensors 0.8.0 writes the memory of a transposed array as it lies.
        arrays["/".join(names)] = np.asarray(value, order="C")
    return arrays


def _check_finite(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind in "fV" and not np.isfinite(array.astype(np.float32)).all():
            raise ValueError(f"{path}: {name} holds values that are not finite")


def _compare(path: str, arrays: Mapping[str, np.ndarray], like: Mapping[str, Any]) -> None:
    wanted = traverse_util.flatten_dict(dict(like), sep="/")
    faults = [f"missing {name}" for name in sorted(set(wanted) - set(arrays))]
    faults += [f"unknown {name}" for name in sorted(set(arrays) - set(wanted))]
    for name in sorted(set(wanted) & set(arrays)):
        have = (arrays[name].shape, arrays[name].dtype)
        want = (tuple(wanted[name].shape), np.dtype(wanted[name].dtype))
        if have != want:
            faults.append(f"{name} is {have[1].name} {have[0]}, expected {want[1].name} {want[0]}")
    if faults:
        shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if faults[8:] else "")
        raise ValueError(f"{path} does not fit the network: {shown}")
