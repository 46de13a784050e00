"""The CSV files that raters send back, checked against the key of their page."""

import csv
import dataclasses
import io
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from t2i_jax import paths

HEADER = ["page", "rater", "item", "question", "choice", "seconds"]

Key = Mapping[str, Any]  # as `t2i_jax.evaluation.rating.protocol.make` writes it


class Answer(NamedTuple):
    """A rater's order of the images of one item.

    item: counted from 0. ranks: of each run, in the order of the key's runs: 1 for the best; equal
    ones share the mean of their places.
    """

    rater: str
    item: int
    question: str
    ranks: tuple[float, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class _Place:
    """A line of a file, for messages."""

    path: str | os.PathLike
    line: int

    def error(self, text: str) -> ValueError:
        return ValueError(f"{self.path}, line {self.line}: {text}")


def read(files: Sequence[str | os.PathLike], key: Key) -> list[Answer]:
    """All answers of one or more raters.

    Raises ValueError, naming file and line, for a file that is no CSV of this page, an item,
    question or choice that the page does not have, and a second answer to the same question by the
    same rater.
    """
    if not files:
        raise ValueError("no files of ratings")
    answers: list[Answer] = []
    places: dict[tuple[str, int, str], _Place] = {}
    for file in files:
        for place, row in _rows(file):
            answer = _answer(row, key, place)
            this = (answer.rater, answer.item, answer.question)
            if this in places:
                before = places[this]
                raise place.error(
                    f"rater {answer.rater!r} has answered {answer.question!r} of item "
                    f"{answer.item + 1} already ({before.path}, line {before.line}): give only the "
                    "last file of each rater, and raters of one name other names"
                )
            places[this] = place
            answers.append(answer)
    return answers


def _rows(file: str | os.PathLike):
    try:
        text = paths.read_bytes(paths.path(file)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not a CSV of ratings: it is no UTF-8 text") from None
    lines = csv.reader(io.StringIO(text, newline=""))
    header = next(lines, [])
    if header != HEADER:
        raise ValueError(
            f"{file}: not a CSV of ratings: its first line is {','.join(header)[:80]!r}, not "
            f"{','.join(HEADER)!r}"
        )
    for row in lines:
        place = _Place(file, lines.line_num)
        if not row:
            continue
        if len(row) != len(HEADER):
            raise place.error(f"{len(row)} fields, not {len(HEADER)}")
        yield place, dict(zip(HEADER, row, strict=True))


def _answer(row: Mapping[str, str], key: Key, place: _Place) -> Answer:
    if row["page"] != key["page"]:
        raise place.error(
            f"an answer to another page ({row['page']!r}; the key is that of {key['page']!r})"
        )
    if not row["rater"].strip():
        raise place.error("no rater")
    items = key["items"]
    if not row["item"].isdecimal() or not 1 <= int(row["item"]) <= len(items):
        raise place.error(f"item {row['item']!r}: the page has items 1 to {len(items)}")
    if row["question"] not in key["questions"]:
        raise place.error(f"question {row['question']!r}: not one of {key['questions']}")
    if not re.fullmatch(r"\d+(\.\d+)?", row["seconds"]):
        raise place.error(f"seconds {row['seconds']!r}: not a number")
    item = int(row["item"]) - 1
    by_place = ranks(row["choice"], len(key["runs"]), place)
    shown = items[item]["runs"]  # names, from left to right
    by_run = tuple(by_place[shown.index(run)] for run in key["runs"])
    return Answer(row["rater"].strip(), item, row["question"], by_run, float(row["seconds"]))


def ranks(choice: str, count: int, place: _Place) -> list[float]:
    """The rank of each of `count` images in a choice such as ``2>1=3``: there 2.5, 1, 2.5."""
    groups = [part.split("=") for part in re.sub(r"\s", "", choice).split(">")]
    if sorted(image for group in groups for image in group) != [str(i + 1) for i in range(count)]:
        raise place.error(f"choice {choice!r}: not an order of images 1 to {count}, such as 2>1")
    found, before = [0.0] * count, 0
    for group in groups:
        for image in group:
            found[int(image) - 1] = before + (len(group) + 1) / 2
        before += len(group)
    return found
