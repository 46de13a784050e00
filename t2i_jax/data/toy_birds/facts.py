"""What a caption of a toy bird states, read back by the grammar that it was written by."""

import re

from t2i_jax.data.toy_birds import captions as grammar
from t2i_jax.data.toy_birds.attributes import ATTRIBUTES


def _patterns() -> list[re.Pattern]:
    meanings = {
        name: "|".join(wording for value in values for wording in grammar.wordings(name, value))
        for name, values in ATTRIBUTES.items()
    }
    templates = {
        t
        for table in (grammar._PARTS, grammar._CLAUSES)
        for options in table.values()
        for t in options
    }
    for table in (grammar._BIRDS, grammar._STATEMENTS, grammar._SCENES):
        templates.update(t for attributes, t in table.items() if attributes)
    # The article plays no part ("a" may have become "an").
    regexes = (
        re.sub(r"{(\w+)}", lambda slot: f"(?P<{slot[1]}>{meanings[slot[1]]})", t.removeprefix("a "))
        for t in sorted(templates)
    )
    return [re.compile(rf"\b{regex}\b") for regex in regexes]


_PATTERNS = _patterns()
_VALUE_OF = {
    (name, wording): value
    for name, values in ATTRIBUTES.items()
    for value in values
    for wording in grammar.wordings(name, value)
}


def caption_facts(caption: str) -> dict[str, str]:
    """The attribute values that a caption states, e.g. {"body": "blue", "wing": "black"}.

    Exact for captions of the grammar. In other text, only what is worded as the grammar words it
    is seen.

    Raises:
        ValueError: the caption says two different things of one attribute.
    """
    facts: dict[str, str] = {}
    for pattern in _PATTERNS:
        for match in pattern.finditer(caption):
            for name, wording in match.groupdict().items():
                value = _VALUE_OF[name, wording]
                if facts.setdefault(name, value) != value:
                    raise ValueError(
                        f"the caption {caption!r} says both {facts[name]} and {value} of the {name}"
                    )
    return facts
