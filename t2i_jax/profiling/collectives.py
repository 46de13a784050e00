"""What the devices of a compiled program send each other, from XLA's text of it."""

import dataclasses
import math
import re

_BITS = {"pred": 8, "token": 0}  # of types whose names hold no number
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\]")
# An operation's name, the type of its result, its kind. The parts that end in -done name what has
# begun before and are left out.
_OPERATION = re.compile(
    r"^\s*(?:ROOT )?%?[\w.-]+ = (?P<result>.*?) "
    r"(?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all|ragged-all-to-all|"
    r"collective-permute|collective-broadcast)(?P<start>-start)?\(",
    re.M,
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One operation of the program.

    size: bytes of what a device gives to an all-reduce, an all-to-all or a permutation; of what it
      has after an all-gather and before a reduce-scatter: of the whole in every case.
    group: how many devices take part together.
    """

    kind: str
    size: float
    group: int

    @property
    def sent(self) -> float:
        """Bytes that one device sends, where every group is a ring, as with NCCL and on TPUs."""
        others = (self.group - 1) / self.group
        if self.kind == "all-reduce":  # a reduce-scatter, then an all-gather
            return 2 * others * self.size
        if self.kind.startswith("collective-"):
            return float(self.size if self.group > 1 else 0)
        return others * self.size


def collectives(text: str, devices: int) -> list[Collective]:
    """Those of a compiled program's text (``compiled.as_text()``) for so many devices, in order.

    What stands in a loop is there once. Raises ValueError for groups that it cannot read.
    """
    found = []
    for match in _OPERATION.finditer(text):
        kind, line = match["kind"], text[match.start() : text.find("\n", match.end())]
        if kind == "collective-permute":
            group = devices if "source_target_pairs={{" in line else 1
        else:
            group = _group(line, devices)
        sizes = [_bytes(*shape) for shape in _SHAPE.findall(match["result"])]
        if match["start"] and kind != "all-reduce":
            sizes = sizes[len(sizes) // 2 :][:1]  # (what goes in, what comes out, ...)
        size = sum(sizes) * (group if kind == "reduce-scatter" else 1)
        found.append(Collective(kind, size, group))
    return found


def _bytes(kind: str, dimensions: str) -> float:
    if kind not in _BITS:
        kind_bits = re.search(r"\d+", kind)
        if kind_bits is None:
            raise ValueError(f"XLA's type {kind!r} is of no known size")
        bits = int(kind_bits[0])
    else:
        bits = _BITS[kind]
    return bits / 8 * math.prod(int(side) for side in dimensions.split(",") if side)


def _group(line: str, devices: int) -> int:
    """The devices of a group: ``replica_groups={{0,1},{2,3}}``, ``=[2,2]<=[4]``, or by the axes of
    a mesh, ``=mesh['a'=2,'b'=2] {'a'}``; ``={}`` are all.
    """
    if found := re.search(r"replica_groups=\{(?:\{([\d,]*)\})?", line):
        return len(found[1].split(",")) if found[1] else devices
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(found[1])
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}", line):
        sides = dict(re.findall(r"'([^']+)'=(\d+)", found[1]))
        # 'a':(1)2 is a part of an axis, of 2.
        axes = re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", found[2])
        return math.prod(int(part or sides[axis]) for axis, part in axes)
    raise ValueError(f"XLA names the groups of a collective in a way that is not known: {line}")
