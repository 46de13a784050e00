"""State dicts of the DF-GAN and RAT-GAN releases, parameter by parameter.

A `Layout` says which of our parameters each name stands for. The releases also carry parameters
that no forward pass reads; those are checked where they are there, dropped, and written back as
zeros.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax.interop.published import check
from t2i_jax.interop.state_dict import StateDict, clean

Path = tuple[str | tuple[int, ...], ...]
_TO_THEIRS = {4: (3, 2, 0, 1), 2: (1, 0)}  # axes of our kernels in PyTorch's order


class Layout(NamedTuple):
    """Names in a release's state dict.

    names: of the parameters in use, with our paths; a tuple of numbers at the end of a path is the
        place in an array of several of theirs.
    dead: of parameters without use, with their shapes.
    copies: of parameters that are there twice, with the name of the original.
    """

    names: dict[str, Path]
    dead: dict[str, tuple[int, ...]] = {}
    copies: dict[str, str] = {}


def layer(theirs: str, *ours: str, bias: bool = True) -> dict[str, Path]:
    """Names of a convolution or linear layer."""
    weight = {f"{theirs}.weight": (*ours, "kernel")}
    return weight | ({f"{theirs}.bias": (*ours, "bias")} if bias else {})


def affine(theirs: str, *ours: str, number: int) -> dict[str, Path]:
    """Names of the four linear layers of affine layer `number` of a `Fusion`."""
    names = {}
    for i, factor in enumerate(("fc_gamma", "fc_beta")):
        for linear in (1, 2):
            names |= {
                f"{theirs}.{factor}.linear{linear}.weight": (*ours, f"kernel{linear}", (number, i)),
                f"{theirs}.{factor}.linear{linear}.bias": (*ours, f"bias{linear}", (number, i)),
            }
    return names


def dead_affine(theirs: str, width: int, hidden: int, condition: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an affine layer without use."""
    shapes = {}
    for factor in ("fc_gamma", "fc_beta"):
        shapes |= dead_layer(f"{theirs}.{factor}.linear1", (hidden, condition))
        shapes |= dead_layer(f"{theirs}.{factor}.linear2", (width, hidden))
    return shapes


def dead_layer(theirs: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer with bias and without use."""
    return {f"{theirs}.weight": shape, f"{theirs}.bias": shape[:1]}


def up_block(theirs: str, *ours: str, affines: list[str], shortcut: bool, gated: bool):
    """Names of an `UpBlock`. affines: their names within the block, in order of use."""
    names = {f"{theirs}.gamma": (*ours, "gate")} if gated else {}
    names |= layer(f"{theirs}.c1", *ours, "conv1") | layer(f"{theirs}.c2", *ours, "conv2")
    half = len(affines) // 2
    for i, name in enumerate(affines):
        fusion = f"fuse{i // half + 1}"
        names |= affine(f"{theirs}.{name}", *ours, fusion, number=i % half)
    return names | (layer(f"{theirs}.c_sc", *ours, "shortcut") if shortcut else {})


def down_block(theirs: str, *ours: str, width_in: int, width: int) -> Layout:
    """Names of a `DownBlock`; without a change of width its shortcut is dead."""
    names = {f"{theirs}.gamma": (*ours, "gate")}
    names |= layer(f"{theirs}.conv_r.0", *ours, "conv1", bias=False)
    names |= layer(f"{theirs}.conv_r.2", *ours, "conv2", bias=False)
    if width_in == width:
        return Layout(names, dead_layer(f"{theirs}.conv_s", (width, width, 1, 1)))
    return Layout(names | layer(f"{theirs}.conv_s", *ours, "shortcut"))


def trunk(blocks: str, channels: int, multiples: list[int]) -> Layout:
    """Names of an `ImageTrunk`. blocks: their pattern, "block{}"; multiples: widths of the maps in
    units of `channels`, from the first convolution's on.
    """
    names, dead = layer("conv_img", "trunk", "conv"), {}
    for i, (before, after) in enumerate(zip(multiples, multiples[1:], strict=False)):
        block = down_block(
            blocks.format(i),
            "trunk",
            f"block{i}",
            width_in=channels * before,
            width=channels * after,
        )
        names, dead = names | block.names, dead | block.dead
    return Layout(names, dead)


def verdict(theirs: str, *ours: str) -> dict[str, Path]:
    """Names of a `Verdict`: the layers ``joint_conv`` of a head."""
    first = layer(f"{theirs}.0", *ours, "conv1", bias=False)
    return first | layer(f"{theirs}.2", *ours, "conv2", bias=False)


def shapes_of(module: nn.Module, sentence_dim: int, inputs: Any) -> dict:
    """Shapes of a module's parameters, without making any. inputs: shapes of its first argument."""
    inputs = jax.tree.map(
        lambda shape: jnp.zeros((1, *shape)), inputs, is_leaf=lambda x: isinstance(x, tuple)
    )
    return jax.eval_shape(
        lambda: module.init(jax.random.key(0), inputs, jnp.zeros((1, sentence_dim)), train=False)
    )


def read(
    state: Mapping[str, np.ndarray], layout: Layout, like: Mapping[str, Any], what: str
) -> dict:
    """Linen variables in float32 from a state dict, with or without the prefix "module.".

    like: variables of the module, or their shapes. what: the network, for messages.

    Raises ValueError, naming the parameters, where one is missing, unknown, of another shape or not
    finite, or where a copy differs from its original.
    """
    state = clean(state)
    leaves = {
        path: np.empty(leaf.shape, np.float32)
        for path, leaf in flatten_dict(like["params"]).items()
    }
    places = {name: _place(leaves, path) for name, path in layout.names.items()}
    shapes = {name: place.shape for name, place in places.items()}
    unread = layout.dead | {copy: shapes[name] for copy, name in layout.copies.items()}
    check(state, shapes | {name: unread[name] for name in unread.keys() & state.keys()}, what)
    for copy, name in layout.copies.items():
        if copy in state and not np.array_equal(state[copy], state[name]):
            raise ValueError(f"{copy} is a copy of {name} in {what}, but here it differs")
    for name, place in places.items():
        place[...] = state[name]
    return {"params": unflatten_dict(leaves)}


def write(variables: Mapping[str, Any], layout: Layout) -> StateDict:
    """The inverse of `read`; gradients in the parameters' place do as well. With the parameters
    without use, as zeros, and the copies, which the authors' classes ask for.

    Raises ValueError for parameters that the release does not have.
    """
    leaves = {k: np.asarray(v) for k, v in flatten_dict(dict(variables["params"])).items()}
    known = {_leaf(path) for path in layout.names.values()}
    if extra := sorted("/".join(path) for path in leaves.keys() - known):
        raise ValueError(f"the release has no such parameters: {', '.join(extra[:4])}")
    state = {name: _place(leaves, path) for name, path in layout.names.items()}
    state |= {name: np.zeros(shape, np.float32) for name, shape in layout.dead.items()}
    return state | {copy: state[name] for copy, name in layout.copies.items()}


def _leaf(path: Path) -> tuple[str, ...]:
    return path[:-1] if isinstance(path[-1], tuple) else path


def _place(leaves: Mapping[tuple[str, ...], np.ndarray], path: Path) -> np.ndarray:
    """A view, with PyTorch's axes, of what a path stands for."""
    leaf = _leaf(path)
    array = leaves[leaf]
    if leaf != path:
        array = array[path[-1]]
    return array.transpose(_TO_THEIRS[array.ndim]) if leaf[-1].startswith("kernel") else array
