"""Parts of a player's parameters that are treated apart: clipped on their own, slower, or frozen.

A part is named by a pattern: the path of a parameter, or of anything above it, with the wildcards
of `fnmatch`. Paths are joined by slashes and begin with a network's name: ``"encoder"`` is all of a
jointly trained encoder, ``"g/block_*/kernel"`` some kernels of G. The one player of an encoder's
training, ``net``, goes without saying: ``"text"`` is its text encoder, ``"image/inception/*"`` a
part of its image encoder. Where several patterns match a parameter, the longest decides.
"""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

Path = tuple[str, ...]


def clipped(
    direction: optax.GradientTransformation, norms: Mapping[str, float], total: float
) -> optax.GradientTransformation:
    """`direction` of gradients whose norm is at most `total`, and in each part that a pattern of
    `norms` names at most that one's norm; the parts are clipped first, and 0 clips nothing.

    The state is `direction`'s alone, so that a run can go on with other clipping than it began
    with. Raises ValueError for a negative norm, and in ``init`` and ``update`` for a pattern that
    matches nothing.
    """
    _check_positive("clip", norms)
    _check_positive("clip_norm", {"": total})

    def init(params):
        _owners("clip", norms, params)
        return direction.init(params)

    def update(grads, state, params=None):
        if norms:
            flat, owners = flatten_dict(grads), _owners("clip", norms, grads)
            for pattern, norm in norms.items():
                part = {path: flat[path] for path, owner in owners.items() if owner == pattern}
                flat |= _clip(part, norm)
            grads = _replaced(grads, flat)
        return direction.update(_clip(grads, total), state, params)

    return optax.GradientTransformation(init, update)


def _clip(grads, norm: float):
    if not norm:
        return grads
    return optax.clip_by_global_norm(norm).update(grads, optax.EmptyState())[0]


def grouped(
    direction: optax.GradientTransformation, factors: Mapping[str, float]
) -> optax.GradientTransformation:
    """`direction` times a factor for each part that a pattern of `factors` names. Parts of factor 0
    are frozen: `direction` never sees them, and its state holds nothing of them.

    Raises ValueError for a negative factor, and in ``init`` and ``update`` for a pattern that
    matches nothing.
    """
    _check_positive("groups", factors)

    def update(grads, state, params=None):
        owners = _owners("groups", factors, grads)
        params = params and trained(factors, params)
        updates, state = direction.update(trained(factors, grads), state, params)
        scaled = {
            path: update * factors.get(owners[path], 1.0)
            for path, update in flatten_dict(updates).items()
        }
        still = {path: jnp.zeros_like(g) for path, g in flatten_dict(grads).items()}
        return _replaced(grads, still | scaled), state

    return optax.GradientTransformation(
        lambda params: direction.init(trained(factors, params)), update
    )


def trained(factors: Mapping[str, float], tree: dict[str, Any]) -> dict[str, Any]:
    """The parameters or gradients of `tree` that are not frozen by `factors` (see `grouped`)."""
    owners = _owners("groups", factors, tree)
    flat = flatten_dict(tree)
    return unflatten_dict({p: x for p, x in flat.items() if factors.get(owners[p], 1.0)})


def _owners(field: str, patterns: Iterable[str], tree: dict[str, Any]) -> dict[Path, str | None]:
    """The pattern that decides about each parameter, or None."""
    names = {path: _name(path) for path in flatten_dict(tree)}
    matched = {pattern: _matching(pattern, names.values()) for pattern in patterns}
    for pattern, hits in matched.items():
        if not hits:
            raise ValueError(f"{field}: {pattern!r} matches no parameter{_near(pattern, names)}")
    by_length = sorted(matched, key=lambda pattern: (len(pattern), pattern), reverse=True)
    return {
        path: next((pattern for pattern in by_length if name in matched[pattern]), None)
        for path, name in names.items()
    }


def _name(path: Path) -> str:
    return "/".join(path[1:] if path[0] == "net" else path)


def _matching(pattern: str, names: Iterable[str]) -> set[str]:
    forms = pattern, f"{pattern}/*"
    return {name for name in names if any(fnmatch.fnmatchcase(name, form) for form in forms)}


def _near(pattern: str, names: Mapping[Path, str]) -> str:
    """``"; near ones: ..."``, or the names of the networks where none is near."""
    parts = [name.split("/") for name in names.values()]
    known = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}
    near = difflib.get_close_matches(pattern.rstrip("/*"), sorted(known), n=3)
    if near:
        return f"; near ones: {', '.join(map(repr, near))}"
    return f"; paths begin with {', '.join(sorted({repr(part[0]) for part in parts}))}"


def _replaced(tree: dict[str, Any], flat: Mapping[Path, jax.Array]) -> dict[str, Any]:
    """`tree` with the leaves of `flat`."""
    return jax.tree_util.tree_map_with_path(lambda path, _: flat[tuple(k.key for k in path)], tree)


def _check_positive(field: str, values: Mapping[str, float]) -> None:
    for pattern, value in values.items():
        if not value >= 0:
            name = f"{field} of {pattern!r}" if pattern else field
            raise ValueError(f"{name} is {value}: must be 0 or a positive number")
