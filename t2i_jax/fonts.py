"""Text drawn in whatever script it is written.

ASCII is drawn in Pillow's own font. A text with other characters is drawn in the first font that
has all of them: DejaVu Sans, which comes with matplotlib (Latin, Cyrillic, Greek, Arabic, Hebrew,
...), the Noto fonts of the extra "fonts", then those of the system. Where no font has all, each
stretch of the text has its own. What no font has is drawn as a box, and a warning says what to
install.
"""

import functools
import importlib.util
import pathlib
import unicodedata
import warnings
from collections.abc import Iterator, Sequence

from PIL import ImageDraw, ImageFont, features

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # the extra "fonts": files of fonts alone
_USUAL = ""  # in the place of a file: Pillow's own font
_STYLES = ("Bold", "Italic", "Oblique", "Mono", "Serif", "Condensed", "Narrow", "Light", "Thin")
_JOINERS = "\u200c\u200d"


class FontWarning(UserWarning):
    """A text is not drawn as it should be."""


def length(text: str, size: int) -> float:
    """The width in pixels of a line of text."""
    turned = _turned(text)
    return sum(_font(file, size).getlength(part, **turned) for file, part in _stretches(text))


def draw(
    canvas: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, fill="black"
) -> None:
    """Draws a line of text, whose upper left corner is at `place`."""
    left, line = place[0], place[1] + _font(_USUAL, size).getmetrics()[0]
    turned, stretches = _turned(text), list(_stretches(text))
    for file, part in reversed(stretches) if turned.get("direction") == "rtl" else stretches:
        font = _font(file, size)
        canvas.text((left, line), part, fill=fill, font=font, anchor="ls", **turned)
        left += font.getlength(part, **turned)


def wrapped(text: str, size: int, width: int, most: int | None = None) -> list[str]:
    """A text in lines no wider than `width` pixels, unless a single character is. Of more than
    `most` lines the last ends in "...".
    """
    lines: list[str] = []
    for piece in _pieces(text):
        if lines and length(lines[-1] + piece, size) <= width:
            lines[-1] += piece
        else:
            lines += _cut(piece.lstrip(), size, width)
    if most is None or len(lines) <= most:
        return lines
    return [*lines[: most - 1], ended(lines[most - 1], size, width)]


def ended(line: str, size: int, width: int) -> str:
    """The beginning of a line that fits with "..." behind it."""
    while line and length(f"{line} ...", size) > width:
        line = line.rpartition(" ")[0] if " " in line else "".join(_clusters(line)[:-1])
    return f"{line} ..."


def _cut(word: str, size: int, width: int) -> list[str]:
    """A word in parts that fit."""
    parts = [""]
    for cluster in _clusters(word):
        if parts[-1] and length(parts[-1] + cluster, size) > width:
            parts.append("")
        parts[-1] += cluster
    return parts


def _pieces(text: str) -> Iterator[str]:
    """Parts of a text between which a line may end, with the space before them: words, and the
    characters of scripts that put no spaces between words. Punctuation stays with what it follows,
    or, where it opens, with what follows it.
    """
    piece = ""
    for cluster in _clusters(" ".join(text.split())):
        wide = unicodedata.east_asian_width(cluster[0]) in "WF"
        kind = unicodedata.category(cluster[0])
        ends = piece.strip() and kind not in ("Pe", "Pf", "Po")
        if ends and (cluster == " " or wide or _is_wide(piece)) and not _opens(piece):
            yield piece
            piece = ""
        piece += cluster
    if piece.strip():
        yield piece


def _is_wide(piece: str) -> bool:
    return unicodedata.east_asian_width(piece[-1]) in "WF"


def _opens(piece: str) -> bool:
    return unicodedata.category(piece[-1]) in ("Ps", "Pi")


def _clusters(text: str) -> list[str]:
    """Characters with the marks that belong to them."""
    found: list[str] = []
    for character in text:
        if found and (_is_mark(character) or found[-1][-1] == "\u200d"):
            found[-1] += character
        else:
            found.append(character)
    return found


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character in _JOINERS


def _stretches(text: str) -> Iterator[tuple[str, str]]:
    """(file of a font, part of the text that it draws), in order."""
    if text.isascii():
        yield _USUAL, text
        return
    wanted = {c for c in text if not _is_mark(c) and c != "\ufeff"}
    for file in dict.fromkeys(_file_of(c) for c in sorted(wanted)):
        if wanted <= _characters(file):
            yield file, text
            return
    file, part = _files()[0], ""
    for cluster in _clusters(text):
        own = file if cluster[0] in _characters(file) else _file_of(cluster[0])
        if part and own != file:
            yield file, part
            part = ""
        file, part = own, part + cluster
    if part:
        yield file, part


@functools.cache
def _file_of(character: str) -> str:
    """The first file with a character; the first of all where none has it, which is said."""
    for file in _files():
        if character in _characters(file):
            return file
    letter = unicodedata.category(character)[0] == "L"
    what = f"{unicodedata.name(character, '?').split()[0]} letters" if letter else "some signs"
    _warn(
        f"no font on this machine has {what} of a caption, which are drawn as boxes: "
        "pip install 't2i_jax[fonts]', or install a font of the system, such as Noto"
    )
    return _files()[0]


def _turned(text: str) -> dict[str, str]:
    """Pillow's options for the direction of a line: that of its first letter. None for ASCII, and
    where Pillow can't turn text, which is said of a text that needs it.
    """
    if text.isascii():
        return {}
    kinds = [unicodedata.bidirectional(c) for c in text]
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    if features.check("raqm"):
        return {"direction": "ltr" if first == "L" else "rtl"}
    if {"R", "AL"} & {*kinds}:
        _warn(
            "Pillow finds no FriBiDi, without which Arabic and Hebrew are drawn from left to right "
            "and letters are not joined: install libfribidi"
        )
    return {}


@functools.cache  # each is said once
def _warn(text: str) -> None:
    warnings.warn(text, FontWarning, stacklevel=2)


@functools.cache
def _files() -> tuple[str, ...]:
    """Files of fonts in the order in which they are tried."""
    import matplotlib  # slow to import
    from matplotlib import font_manager

    found = [pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")]
    for package in _PACKAGES:
        if spec := importlib.util.find_spec(package):
            found += _in_order(pathlib.Path(spec.origin).parent.glob("*.[to]t[fc]"))
    found += _in_order(map(pathlib.Path, font_manager.findSystemFonts()))
    return tuple(map(str, found))


def _in_order(files) -> Sequence[pathlib.Path]:
    """Plain sans serif first."""
    return sorted(
        files, key=lambda f: (any(s in f.stem for s in _STYLES), "Sans" not in f.stem, f.name)
    )


@functools.cache
def _characters(file: str) -> frozenset[str]:
    """Those that a font has; none of a font of pictures, or of a damaged one."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(file)
    except (OSError, RuntimeError):
        return frozenset()
    drawn = font.scalable and "Color" not in font.family_name
    return frozenset(map(chr, font.get_charmap())) if drawn else frozenset()


@functools.cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    if file == _USUAL:
        return ImageFont.load_default(size)
    font = ImageFont.truetype(file, size)
    try:
        font.set_variation_by_name("Regular")  # some are thin by default
    except OSError:  # a font of one style
        pass
    return font
