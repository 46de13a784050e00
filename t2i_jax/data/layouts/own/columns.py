"""Which fields of a list, or columns of a table, say what: by the names that people give them."""

import dataclasses
import re
from collections.abc import Container, Iterable

from t2i_jax.data.report import DataError

# The first of them that a table has gives the captions: "text", "texts", "text_0", "text1", ...
CAPTIONS = ("text", "caption", "sentence", "description", "prompt")
LABELS = ("class", "label")


@dataclasses.dataclass(frozen=True)
class Columns:
    """image: the one with the images, or their file names; "" for none. captions: those with
    captions. label, box, split: where there are such; "" for none.
    """

    image: str
    captions: tuple[str, ...]
    label: str = "class"
    box: str = "box"
    split: str = "split"

    def told(self, names: Iterable[str]) -> str:
        """In a sentence, where the captions come from and which columns have no use."""
        used = (self.image, *self.captions, self.label, self.box, self.split)
        unused = [name for name in names if name not in used]
        columns = "column" if len(self.captions) == 1 else "columns"
        return (
            f"captions: {columns} {', '.join(self.captions) or 'none'}"
            + f"; not used: {', '.join(unused)}" * bool(unused)
        )


def find(
    names: Iterable[str],
    image: str,
    where: str,
    need_captions: bool = True,
    texts: Container[str] | None = None,
) -> Columns:
    """The columns by their names.

    image: the column with the images. where: the file, for messages. texts: those that can hold
    captions, all others by default.

    Raises:
      DataError: none has captions.
    """
    names = [name for name in names if name != image]
    captions = caption_columns(n for n in names if texts is None or n in texts)
    if not captions and need_captions:
        raise DataError(
            f"{where} has the columns {', '.join([image, *names])}: none of them is known to hold "
            f"captions. Call it text or caption (or {', '.join(CAPTIONS[2:])}; caption_0, "
            "caption_1, ... where there are several)"
        )
    label = next((name for name in names if name in LABELS), "")
    return Columns(image, tuple(captions), label)


def caption_columns(names: Iterable[str]) -> list[str]:
    """Those with captions: all of one kind, else the first with such a word in its name."""
    names = list(names)
    for word in CAPTIONS:
        plain = re.compile(rf"{word}s?[_-]?\d*", re.IGNORECASE)
        if found := [name for name in names if plain.fullmatch(name)]:
            return found
    inside = re.compile(rf"(^|[_\W])({'|'.join(CAPTIONS)})s?([_\W]|$)", re.IGNORECASE)
    return [name for name in names if inside.search(name)][:1]
