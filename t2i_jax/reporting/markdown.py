"""Text and tables in Markdown."""

import re
from collections.abc import Sequence


def table_of(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int) -> str:
    """A table; the columns from the given one on stand to the right, as numbers do."""
    marks = ["---" if i < numbers_from else "---:" for i in range(len(heads))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, marks, *rows))


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = re.sub(r"([\\`*|\[\]<>~#]|(?<!\w)_|_(?!\w))", r"\\\1", text)
    return " ".join(text.split())
