"""Lists in JSON lines."""

import pathlib
from collections.abc import Iterator
from typing import Any

from t2i_jax.data.report import Problem
from t2i_jax.data.text_files import parse_json, text_lines


def read(
    path: pathlib.Path, name: str, problems: list[Problem]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, object) of every line that is one; the others are problems."""
    for number, line in enumerate(text_lines(path.read_bytes(), name, problems), 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            data = parse_json(line)
        except ValueError:
            problems.append(Problem("skipped", "image", "line is not valid JSON", where))
            continue
        if not isinstance(data, dict):
            problems.append(Problem("skipped", "image", "line is not a JSON object", where))
            continue
        yield where, data
