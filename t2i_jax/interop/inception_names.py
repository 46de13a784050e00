"""The names under which TensorFlow's programs keep the units of Inception-v3, given torchvision's.

The graph of 2015 and TF-slim number the units of a block branch by branch; Keras numbers all of
them, in the order of `unit_names`.
"""

import re
from collections.abc import Iterable

from t2i_jax.encoders.inception_v3 import BLOCKS, unit_names

_SLIM_BLOCKS = dict(
    zip(
        BLOCKS,
        (
            *(f"mixed_35x35x{width}" for width in ("256a", "288a", "288b")),
            *(f"mixed_17x17x768{letter}" for letter in "abcde"),
            "mixed_17x17x1280a",  # of 8x8; its authors kept the name
            *("mixed_8x8x2048a", "mixed_8x8x2048b"),
        ),
        strict=True,
    )
)


def graph_scope(unit: str) -> str:
    """The scope of a unit in the graph of 2015: ``"Mixed_5c.branch5x5_2"`` is
    ``"mixed_1/tower/conv_1"``.
    """
    block, _, name = unit.rpartition(".")
    if not block:
        return _numbered("conv", _place_in_stem(unit))
    mixed = _numbered("mixed", list(BLOCKS).index(block))
    branches = [units for units in _branches(block) if units]
    # A first branch of one unit has no tower of its own.
    towers = branches[1:] if len(branches[0]) == 1 else branches
    for number, units in enumerate(towers):
        if name in units:
            tower = f"{mixed}/{_numbered('tower', number)}"
            if name[-1] in "ab":  # two units that read the same input
                return f"{tower}/mixed/{_numbered('conv', 'ab'.index(name[-1]))}"
            return f"{tower}/{_numbered('conv', units.index(name))}"
    return f"{mixed}/conv"


def slim_scope(unit: str) -> str:
    """The scope of a unit in TF-slim: ``"Mixed_5c.branch5x5_2"`` is
    ``"mixed_35x35x288a/branch5x5/Conv_1"``.
    """
    block, _, name = unit.rpartition(".")
    if not block:
        return f"conv{_place_in_stem(unit)}"
    units = next(units for units in _branches(block) if name in units)
    branch = re.sub(r"_\d[ab]?$", "", name)
    return f"{_SLIM_BLOCKS[block]}/{branch}/{_numbered('Conv', units.index(name))}"


def from_one(names: Iterable[str]) -> dict[str, str]:
    """Names "layer/leaf" of Keras -> the same with the layers of each kind numbered from 1.

    Keras goes on numbering from network to network of a program, and gives the first layer no
    number at all, so only the order counts.
    """
    parts = {}
    for name in names:
        layer, _, leaf = name.rpartition("/")
        kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer).groups()
        parts[name] = kind, int(number or 0), leaf
    numbers = {kind: set() for kind, _, _ in parts.values()}
    for kind, number, _ in parts.values():
        numbers[kind].add(number)
    return {
        name: f"{kind}_{sorted(numbers[kind]).index(number) + 1}/{leaf}"
        for name, (kind, number, leaf) in parts.items()
    }


def _place_in_stem(unit: str) -> int:
    return [name for name in unit_names() if "." not in name].index(unit)


def _branches(block: str) -> list[list[str]]:
    """The names of the units of each branch, in their order."""
    branches = []
    for branch in BLOCKS[block]:
        groups = [step if type(step) is tuple else (step,) for step in branch]
        branches.append([u.name for group in groups for u in group if not isinstance(u, str)])
    return branches


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name
