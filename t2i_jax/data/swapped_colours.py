"""Captions that name the right colours in the wrong places: the hardest mismatched pairs.

"a red bird with black wings" becomes "a black bird with red wings". Sentence encoders hardly tell
the two apart (docs/bert.md), and a discriminator that sees such pairs must.
"""

import re

import numpy as np

# Colour words by what they mean: exchanging words of one meaning would change nothing.
COLOURS = {
    **{word: word for word in ("black", "white", "brown", "red", "orange", "yellow", "green")},
    **{word: word for word in ("blue", "purple", "pink")},
    **{"grey": "grey", "gray": "grey", "silver": "grey"},
    **{"beige": "beige", "cream": "beige", "tan": "beige", "buff": "beige"},
    **{"gold": "yellow", "golden": "yellow", "violet": "purple"},
    **{"teal": "teal", "turquoise": "teal"},
}
# What takes the place of a colour in a caption that has no other.
_SPARE = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple")
_WORD = re.compile(rf"\b(?:{'|'.join(COLOURS)})\b", re.IGNORECASE)
# Between colours of one thing: "black and white", "yellow, dark green", "red-orange".
_JOINED = re.compile(r"[\s,/&-]*(?:\b(?:and|or|light|dark|bright|pale|deep)\b[\s,/&-]*)*")
_ARTICLE = re.compile(r"\b(an?)(?=\s+$)", re.IGNORECASE)


def swapped(text: str, rng: np.random.Generator) -> str:
    """The caption with two colour words exchanged that mean different colours and are said of
    different things; where it has no such two, with one colour replaced by one that it does not
    name. A caption without colours comes back as it is.

    "black and white" is one thing's: exchanging these would leave the caption true. A word that
    stands twice is exchanged in one place only. "a" and "an" follow the new word.
    """
    found = list(_WORD.finditer(text))
    if not found:
        return text
    meant = [COLOURS[word[0].lower()] for word in found]
    thing = _things(text, found)
    pairs = [
        (i, j)
        for i in range(len(found))
        for j in range(i + 1, len(found))
        if thing[i] != thing[j] and meant[i] != meant[j]
    ]
    if pairs:
        i, j = pairs[rng.integers(len(pairs))]
        new = {i: found[j][0], j: found[i][0]}
    else:
        spare = [word for word in _SPARE if word not in meant]
        new = {int(rng.integers(len(found))): spare[rng.integers(len(spare))]}
    for place in sorted(new, reverse=True):
        text = _put(text, found[place], new[place])
    return text


def _things(text: str, found: list[re.Match]) -> list[int]:
    """For each colour word the number of the thing that it is said of, as far as joining words
    tell.
    """
    things = [0]
    for before, after in zip(found, found[1:], strict=False):
        joined = _JOINED.fullmatch(text, before.end(), after.start())
        things.append(things[-1] + (joined is None))
    return things


def _put(text: str, place: re.Match, word: str) -> str:
    """`word` in the place of another, with its capital and with the right article before it."""
    word = word.capitalize() if place[0][0].isupper() else word.lower()
    article = "an" if word[0].lower() in "aeiou" else "a"
    head = _ARTICLE.sub(lambda a: a[1][0] + article[1:], text[: place.start()])
    return head + word + text[place.end() :]
