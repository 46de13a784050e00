"""The leaves of a checkpoint: their names, the comparison with a model, and their checksums.

A pytree is saved as nested dicts of arrays, so that a file on disk does not depend on the Python
classes of the state: a leaf's name is its path, ``"opt_state/g/0/mu/params/Dense_0/kernel"``.

Every leaf's checksum is CRC-32 of its bytes (about 3 GB/s on one core; it finds damage, it does not
protect from an attacker). A leaf that is sharded is summed shard by shard, each region once over
all processes, so no process needs more than the shards it holds.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

Flat = dict[str, Any]


def _part(key) -> str:
    for field in ("key", "name", "idx"):
        if hasattr(key, field):
            return str(getattr(key, field))
    raise TypeError(f"cannot name the pytree key {key!r}")


def flatten(tree) -> Flat:
    """``{name: leaf}`` in pytree order.

    Leaves are jax arrays or `jax.ShapeDtypeStruct`; anything else (NumPy arrays, Python numbers)
    becomes a NumPy array of the dtype that jax would give it.

    Raises TypeError for a typed PRNG key and for what is no array; ValueError where two leaves get
    the same name (a key that contains "/").
    """
    flat = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = "/".join(_part(key) for key in path)
        if name in flat:
            raise ValueError(f"two leaves of the state are named {name!r}: use keys without '/'")
        if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
            # A copy: the caller may change its array while it is being written.
            leaf = np.array(leaf)
            if leaf.dtype.kind in "OSU":
                raise TypeError(f"leaf {name!r} is no array of numbers: {leaf!r}")
            leaf = leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype))
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"leaf {name!r} is a typed PRNG key: store jax.random.key_data(key) and restore it "
                "with jax.random.wrap_key_data"
            )
        flat[name] = leaf
    return flat


def nest(flat: Mapping[str, Any]) -> dict:
    """Nested dicts from ``{name: leaf}``: what lies on disk."""
    tree: dict = {}
    for name, leaf in flat.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def describe(shape, dtype) -> str:
    """Such as ``float32[64,3]``."""
    return f"{np.dtype(dtype).name}[{','.join(str(n) for n in shape)}]"


def check_storable(flat: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the leaf, for arrays that cannot be written."""
    _check_names(flat)
    for name, leaf in flat.items():
        if math.prod(leaf.shape) == 0:
            raise ValueError(f"leaf {name!r} is empty, {describe(leaf.shape, leaf.dtype)}")
        if jax.process_count() > 1 and isinstance(leaf, jax.Array) and leaf.is_fully_addressable:
            raise ValueError(
                f"leaf {name!r} lives on process {jax.process_index()} alone: on several processes "
                "save global arrays (a NamedSharding over a mesh of all devices)"
            )


def _check_names(names: Iterable[str]) -> None:
    """Raises ValueError for two leaves that would lie in one place: Orbax joins the parts of a name
    by ".", so that the later of ``a.b`` and ``a/b`` would be read as both.
    """
    places: dict[str, str] = {}
    for name in names:
        other = places.setdefault(name.replace("/", "."), name)
        if other != name:
            raise ValueError(
                f"the leaves {other!r} and {name!r} would be one file of the checkpoint: use keys "
                "without '.'"
            )
    for name in places.values():
        parent = name
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if places.get(parent.replace("/", ".")) == parent:
                raise ValueError(
                    f"the leaf {parent!r} stands in the place of the folder of {name!r}: use keys "
                    "without '/'"
                )


def _region(index, shape) -> list[list[int]]:
    """A shard's index as ``[[start, stop], ...]``."""
    return [list(part.indices(n)[:2]) for part, n in zip(index, shape, strict=True)]


def _crc32(array: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8)):08x}"


def text_crc32(text: str) -> str:
    """CRC-32 of a text's UTF-8 bytes."""
    return f"{zlib.crc32(text.encode()):08x}"


def summarize(flat: Mapping[str, Any]) -> dict[str, dict]:
    """What this process knows of each leaf, as JSON:
    ``{name: {"shape", "dtype", "parts": [{"region": [[start, stop], ...], "crc32"}]}}``.

    Over all processes the parts of a leaf cover it exactly once. Reads every array to the host.
    """
    for leaf in flat.values():
        if isinstance(leaf, jax.Array):
            leaf.copy_to_host_async()
    records = {}
    for name, leaf in flat.items():
        if isinstance(leaf, jax.Array):
            parts = [
                {"region": _region(s.index, leaf.shape), "crc32": _crc32(np.asarray(s.data))}
                for s in leaf.addressable_shards
                if s.replica_id == 0
            ]
        elif jax.process_index() == 0:
            parts = [{"region": [[0, n] for n in leaf.shape], "crc32": _crc32(leaf)}]
        else:
            parts = []
        records[name] = {
            "shape": list(leaf.shape),
            "dtype": np.dtype(leaf.dtype).name,
            "parts": parts,
        }
    return records


def merge(records: list[dict[str, dict]]) -> dict[str, dict]:
    """The records of all processes as one. Raises ValueError where the parts of a leaf do not cover
    it.
    """
    merged = {name: {**record, "parts": []} for name, record in records[0].items()}
    for one in records:
        for name, record in one.items():
            merged[name]["parts"] += record["parts"]
    for name, record in merged.items():
        covered = sum(math.prod(b - a for a, b in part["region"]) for part in record["parts"])
        if covered != math.prod(record["shape"]):
            raise ValueError(f"the checksums of leaf {name!r} do not cover it")
    return merged


def differences(saved: Mapping[str, dict], wanted: Mapping[str, Any]) -> list[str]:
    """How the leaves on disk differ from those of the model, one line a leaf."""
    lines = []
    for name in sorted(saved.keys() | wanted.keys()):
        old = describe(saved[name]["shape"], saved[name]["dtype"]) if name in saved else "absent"
        new = describe(wanted[name].shape, wanted[name].dtype) if name in wanted else "absent"
        if old != new:
            lines.append(f"{name}: saved {old}, now {new}")
    return lines


def _local(array: jax.Array, region: list[list[int]]) -> np.ndarray | None:
    """The region of an array, or None where this process does not hold it in one piece."""
    for shard in array.addressable_shards:
        held = _region(shard.index, array.shape)
        if all(h[0] <= r[0] and r[1] <= h[1] for h, r in zip(held, region, strict=True)):
            inner = (slice(r[0] - h[0], r[1] - h[0]) for h, r in zip(held, region, strict=True))
            return np.asarray(shard.data)[tuple(inner)]
    if array.is_fully_addressable:
        return np.asarray(array)[tuple(slice(*r) for r in region)]
    return None


def damaged(flat: Mapping[str, jax.Array], records: Mapping[str, dict]) -> list[str]:
    """Names of the leaves whose bytes are not those that were saved.

    A region that another process holds is that process's to check. On another number of processes
    a region that lies across two processes is not checked.
    """
    bad = []
    for name, array in flat.items():
        for part in records[name]["parts"]:
            held = _local(array, part["region"])
            if held is not None and _crc32(held) != part["crc32"]:
                bad.append(name)
                break
    return bad
