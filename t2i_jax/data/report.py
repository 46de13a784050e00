"""What preparing a data set found: counts, and a reason for everything repaired or skipped."""

import dataclasses
import json
from collections import Counter
from typing import Any, NamedTuple

from etils import epath
from rich.table import Table
from rich.text import Text

FILENAME = "prepare_report.json"
EXAMPLES = 5  # how many places are named for each kind of problem


class DataError(ValueError):
    """The source can't be prepared as asked; the message says what to do."""


class NoHeldOut(DataError):
    """A set has nothing that its training does not see, or too little of it to measure on."""


class Problem(NamedTuple):
    """One thing found in a source.

    action: "repaired", "skipped", or "kept" (unusual, but stored as it is).
    item: what it concerns: "record", "image", "caption", "box", "list", ...
    reason: a short fixed phrase; problems are counted by it.
    where: file, line or record, for people.
    """

    action: str
    item: str
    reason: str
    where: str


@dataclasses.dataclass(repr=False)
class Report:
    """Counts of one preparation. Filled while records are made, then saved beside them."""

    dataset: str
    config: str
    source: str
    path: str = ""
    already: bool = False  # the set was there before, nothing was done
    records: dict[str, int] = dataclasses.field(default_factory=dict)
    captions: dict[str, int] = dataclasses.field(default_factory=dict)
    expected: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    layout: str = ""  # see `t2i_jax.data.records.Layout.name`
    told: list[str] = dataclasses.field(default_factory=list)
    counts: Counter = dataclasses.field(default_factory=Counter)
    examples: dict[tuple, list[str]] = dataclasses.field(default_factory=dict)

    def add(self, split: str, problem: Problem) -> None:
        """Counts a problem of a split ("" where it concerns the whole source)."""
        key = (split, *problem[:3])
        self.counts[key] += 1
        places = self.examples.setdefault(key, [])
        if len(places) < EXAMPLES:
            places.append(printable(problem.where))

    @property
    def name(self) -> str:
        """What the prepared set is called in configs, as ``data.name``."""
        return f"{self.dataset}/{self.config}"

    def __repr__(self) -> str:
        splits = ", ".join(
            f"{split} {count:,} records with {self.captions.get(split, 0):,} captions"
            for split, count in self.records.items()
        )
        told = [f"Report of {self.name} in {self.path}: {splits or 'no records'}"]
        if self.already:
            told.append("it was prepared before")
        if self.counts:
            told.append(
                f"{self.counts.total():,} things in the source were repaired, skipped or "
                "are unusual (tables() lists them)"
            )
        return "; ".join([*told, *self.warnings])

    @property
    def faults(self) -> int:
        """How many things were repaired or skipped: what a strict preparation refuses."""
        return sum(n for key, n in self.counts.items() if key[1] != "kept")

    @property
    def warnings(self) -> list[str]:
        """The notes, and each split whose count differs from the complete set's."""
        differing = [
            f"split {split!r}: {self.records.get(split, 0):,} records, "
            f"the complete set has {expected:,}"
            for split, expected in self.expected.items()
            if self.records.get(split, 0) != expected
        ]
        return [*self.notes, *differing]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, the layout of `prepare_report.json`."""
        return {
            "dataset": self.dataset,
            "config": self.config,
            "source": self.source,
            "layout": self.layout,
            "told": self.told,
            "splits": {
                split: {
                    "records": count,
                    "captions": self.captions.get(split, 0),
                    "expected": self.expected.get(split),
                }
                for split, count in self.records.items()
            },
            "warnings": self.warnings,
            "problems": [
                {
                    **dict(zip(("split", "action", "item", "reason"), key, strict=True)),
                    "count": count,
                    "examples": self.examples[key],
                }
                for key, count in sorted(self.counts.items())
            ],
        }

    def save(self, folder: epath.Path) -> None:
        """Writes `prepare_report.json` into the prepared folder."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        # Half a character, of the source's name for one, becomes JSON's "\ud83d".
        data = text.encode("utf-8", "backslashreplace")
        (epath.Path(folder) / FILENAME).write_bytes(data)

    @classmethod
    def load(cls, folder: epath.Path) -> "Report":
        """The report of an earlier preparation, marked as such."""
        folder = epath.Path(folder)
        data = json.loads((folder / FILENAME).read_text(encoding="utf-8"))
        report = cls(data["dataset"], data["config"], data["source"], str(folder), already=True)
        report.layout, report.told = data.get("layout", ""), data.get("told", [])
        for split, row in data["splits"].items():
            report.records[split] = row["records"]
            report.captions[split] = row["captions"]
            if row["expected"] is not None:
                report.expected[split] = row["expected"]
        for row in data["problems"]:
            key = (row["split"], row["action"], row["item"], row["reason"])
            report.counts[key] = row["count"]
            report.examples[key] = row["examples"]
        # The differing counts are worked out anew; what remains are the notes.
        report.notes = [line for line in data["warnings"] if line not in report.warnings]
        return report

    def tables(self) -> list[Table]:
        """Tables for the terminal: the splits, and the problems if there are any."""
        splits = Table("split", title=f"{self.dataset} ({self.config})", title_justify="left")
        for column in ("records", "captions", "complete set"):
            splits.add_column(column, justify="right")
        for split, count in self.records.items():
            expected = self.expected.get(split)
            splits.add_row(
                split,
                f"{count:,}",
                f"{self.captions.get(split, 0):,}",
                "" if expected is None else f"{expected:,}",
            )
        tables = [splits] if self.records else []  # none: it failed before the first record
        if not self.counts:
            return tables
        problems = Table("split", "what", "reason", title="Found in the source")
        problems.title_justify = "left"
        problems.add_column("count", justify="right")
        problems.add_column("for example", overflow="fold")
        for (split, action, item, reason), count in sorted(self.counts.items()):
            place = self.examples[split, action, item, reason][0]
            # As Text: brackets in names are no markup.
            row = (split, f"{item} {action}", reason, f"{count:,}", place)
            problems.add_row(*map(Text, row))
        return [*tables, problems]


def printable(text: str) -> str:
    """With what no terminal or UTF-8 file can hold written out: halves of characters, control
    characters.
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
