"""Commands, code and links that the documents show, with the place where each stands."""

import ast
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "BENCHMARKS.md", "launch/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
DOCSTRINGS = [*(ROOT / "configs").rglob("*.py"), *(ROOT / "t2i_jax").rglob("*.py")]
SCRIPTS = sorted((ROOT / "launch").glob("*.sh"))

_BEGINS = re.compile(
    r"(?:\w+=\S+ )*(?:exec )?"
    r"(?:python (?:-m t2i_jax\.|-m pytest |launch/|tests/)|t2i-jax |bash launch/|pip install )"
)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


class Place(NamedTuple):
    """A line of a file; prints as tools that jump to it want it."""

    file: pathlib.Path
    line: int

    def __str__(self):
        return f"{self.file.relative_to(ROOT)}:{self.line}"


class Command(NamedTuple):
    """A command line as it is written, continuation lines joined.

    mention: whether it stands in a sentence, where what it needs besides may be left out.
    """

    place: Place
    text: str
    mention: bool = False

    def forms(self) -> list[list[str]]:
        """Its words: without what stands in [brackets], and with each of the alternatives there.
        Variables of the environment and a comment at the end are left out.
        """
        text = re.sub(r"^(?:\w+=\S+ )*(?:exec )?", "", self.text)
        if text.startswith("pip"):  # its brackets are extras
            return [shlex.split(text, comments=True)]
        extras = [a for found in _ALTERNATIVES.findall(text) for a in found.split("|")]
        plain = _ALTERNATIVES.sub("", text)
        forms = [plain, *(f"{plain.partition(' #')[0]} {extra}" for extra in extras)]
        return [
            [word for word in shlex.split(form, comments=True) if not _is_open(word)]
            for form in forms
        ]


def _is_open(word: str) -> bool:
    """Whether a word stands for whatever a user adds."""
    return word in ("...", "$@") or word.startswith(("--field=", "--data.field="))


def texts(path: pathlib.Path) -> list[tuple[int, str]]:
    """Lines of a file that document, with their numbers: of Python those of its first docstring."""
    if path.suffix != ".py":
        return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    return list(enumerate((ast.get_docstring(ast.parse(path.read_text())) or "").splitlines(), 1))


def commands(path: pathlib.Path) -> Iterator[Command]:
    """Those that have lines of their own, and those in a text's `quotes` that have options."""
    lines = texts(path)
    own = set()
    for at, (number, line) in enumerate(lines):
        text = re.sub(r"^(?:[-*] |\$ |!|Then: )", "", line.strip())
        prose = path.suffix == ".py" and not line.startswith((" ", "Then: "))
        if number in own or prose or not _BEGINS.match(text):
            continue
        while text.endswith("\\"):
            at += 1
            own.add(lines[at][0])
            text = f"{text[:-1].rstrip()} {lines[at][1].strip()}"
        own.add(number)
        yield Command(Place(path, number), text)
    prose = "\n".join("" if number in own else line for number, line in lines)
    if path.suffix == ".md":
        for span in _SPAN.finditer(re.sub(r"^```.*?^```$", _blank, prose, flags=re.M | re.S)):
            text = " ".join(span[1].split())
            if "<" not in text and _BEGINS.match(text) and " --" in text:
                yield Command(Place(path, prose[: span.start()].count("\n") + 1), text, True)


def _blank(found: re.Match) -> str:
    return "\n" * found[0].count("\n")


def python_blocks(path: pathlib.Path) -> Iterator[tuple[Place, str]]:
    """Fenced blocks of Python, and indented ones that begin with an import."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start, block, fenced = 0, [], False
    for number, line in enumerate([*lines, "end"], 1):
        if line.startswith("```"):
            if fenced:
                yield Place(path, start), "\n".join(block)
            fenced, start, block = line == "```python", number, []
        elif fenced or line.startswith("    ") or (block and not line):
            start = start if block else number
            block.append(line if fenced else line[4:])
        else:
            if re.match(r"(from|import) \w", "\n".join(block)):
                yield Place(path, start), "\n".join(block)
            block = []


def links(path: pathlib.Path) -> Iterator[tuple[Place, str]]:
    """Targets of links and pictures that are not of the web."""
    for number, line in texts(path):
        for target in re.findall(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"", line):
            target = "".join(target)
            if not re.match(r"\w+:", target):
                yield Place(path, number), target


def anchors(path: pathlib.Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def spans(path: pathlib.Path) -> Iterator[tuple[Place, str]]:
    """What stands in `quotes` of a page's text."""
    text = re.sub(r"^```.*?^```$", _blank, path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in _SPAN.finditer(text):
        yield Place(path, text[: span.start()].count("\n") + 1), " ".join(span[1].split())
