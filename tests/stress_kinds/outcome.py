"""How one trial ended, how it is judged, and the table of all of them."""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Sequence

from rich.table import Table

TRACEBACK, UNNAMED, SILENT = "traceback", "refused without its name", "SILENT"
FAULTS = (TRACEBACK, UNNAMED, SILENT)
COLUMNS = ("trouble", "tried", "held", "how it ended")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """kind: the row of the table. what: what was done, for messages. how: the end in a few words,
    by which it is counted. detail: what was printed or differs, of one that did not hold.
    """

    kind: str
    what: str
    how: str
    good: bool = True
    detail: str = ""


def judge(
    status: int, printed: str, names: Collection[str], differs: Collection[str], fell_back=False
) -> str:
    """What a program did about a damaged file; one of `FAULTS` where it failed.

    names: texts of which one must be printed: the file, or what it is a part of.
    differs: what came out otherwise than without the damage.
    fell_back: whether it went on from an older checkpoint.
    """
    named = any(name in printed for name in names)
    if status < 0 or "Traceback (most recent call last)" in printed:
        return TRACEBACK
    if status:
        return "refused by name" if named else UNNAMED
    if differs:
        return "what is lost was said" if named else SILENT
    if fell_back and named:
        return "older checkpoint, said; same end"
    return "rebuilt, said; same end" if named else "same end"


def rows(outcomes: Iterable[Outcome]) -> list[tuple[str, str, str, str]]:
    """A row for each kind, in the order in which they came."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.kind, []).append(outcome)
    made = []
    for kind, of_kind in kinds.items():
        ends = collections.Counter(o.how for o in of_kind).most_common()
        held = sum(o.good for o in of_kind)
        told = "; ".join(f"{count} {how}" for how, count in ends)
        made.append((kind, str(len(of_kind)), str(held), told))
    return made


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Rows as a table of a page."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def terminal(table: Sequence[Sequence[str]]) -> Table:
    """Rows as a table of a terminal."""
    made = Table(*COLUMNS)
    for row in table:
        made.add_row(*row)
    return made
