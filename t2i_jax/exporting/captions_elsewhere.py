"""Reading captions without this library: the tokenizer's file, its rule in words, and in Python.

The Python lines make ``tokens`` and ``mask`` of ``captions``, as the run's tokenizer does.
"""

import dataclasses
import json
from typing import Any

from t2i_jax.data.tokenizers import Tokenizer
from t2i_jax.data.tokenizers.char import ALPHABET

FILE = "tokenizer.json"

_LOOP = f"""\
told = json.load(open("{FILE}", encoding="utf-8"))
tokens = np.zeros((len(captions), told["length"]), np.int32)
mask = np.zeros(tokens.shape, bool)
for row, caption in enumerate(captions):
{{ids}}
    ids = ids[: told["length"]]
    tokens[row, : len(ids)], mask[row, : len(ids)] = ids, True
"""
_WORD_IDS = r"""    found = re.findall(r"\w+", caption.replace("\ufffd\ufffd", " ").lower())
    words = [word.encode("ascii", "ignore").decode() for word in found]
    ids = [told["words"].index(word) for word in words if word in told["words"]] or [0]"""
_BYTE_IDS = (
    """    ids = [told["alphabet"].rfind(chr(byte)) + 1 for byte in caption{lower}.encode()]"""
)
_CHAR_IDS = {
    "lower": _BYTE_IDS.format(lower=".lower()"),
    "case_sensitive": _BYTE_IDS.format(lower=""),
    "cut_at_zero": _BYTE_IDS.format(lower=".lower()") + "\n    ids = ids[: (ids + [0]).index(0)]",
    "unknown_as_space": """    read = [c if c in told["alphabet"] else " " for c in caption.lower()]
    ids = [told["alphabet"].rfind(c) + 1 for c in read]""",
}
_PIECES = f"""\
tokenizer = Tokenizer.from_file("{FILE}")
tokenizer.encode_special_tokens = True  # the name of a special token in a caption is text
rows = tokenizer.encode_batch(captions)
tokens = np.array([row.ids for row in rows], np.int32)
mask = np.array([row.attention_mask for row in rows], bool)
"""

_WORD_RULE = (
    "Two U+FFFD in a row become a blank, and letters small. Words are runs of letters, digits and "
    "underscores (Python's \\w); characters outside ASCII are taken out of them. The id of a word "
    "is its place in `words`, from 0; other words are left out. A caption without any known word "
    "is the one id 0. Longer captions are cut to `length` ids, shorter ones filled up with 0. "
    "`mask` is true where an id is of the caption, false where it fills up."
)
_CHAR_RULES = {
    "lower": "Letters become small. The id of a byte of the UTF-8 text is",
    "case_sensitive": "The id of a byte of the UTF-8 text is",
    "cut_at_zero": "Letters become small; the text ends before its first byte that `alphabet` "
    "lacks. The id of a byte of the UTF-8 text is",
    "unknown_as_space": "Letters become small, and characters that `alphabet` lacks become blanks. "
    "The id of a character is",
}
_CHAR_RULE = (
    " its last place in `alphabet`, counted from 1, or 0 where `alphabet` lacks it. Longer "
    "captions are cut to `length` ids, shorter ones filled up with 0. `mask` is true where an id "
    "is of the caption, false where it fills up."
)
_PIECES_RULE = (
    "BERT's word pieces between [CLS] and [SEP], in the file format of the `tokenizers` library, "
    "which also says how captions are cut and filled up. `mask` is true where an id is of the "
    "caption, false where it fills up. The names of special tokens in a caption are text."
)


@dataclasses.dataclass(frozen=True)
class Reading:
    """state: the tokenizer's file. rule: what it does, in words. captions: two that it can read.

    code, imports, packages: Python lines, and what they need from pip.
    """

    state: dict[str, Any]
    rule: str
    captions: tuple[str, str]
    code: str
    imports: tuple[str, ...]
    packages: tuple[str, ...] = ()


def reading(tokenizer: Tokenizer) -> Reading:
    """Raises ValueError for a tokenizer of unknown name."""
    state = tokenizer.to_json()
    plain = ("a small red bird with black wings", "this flower has yellow petals")
    if tokenizer.name == "word":
        words = state["words"][1:]  # in the order of a real caption, as vocabularies are made
        known = (" ".join(words[:8]), " ".join(words[2:6]) or words[0])
        code = _LOOP.format(ids=_WORD_IDS)
        return Reading(state, _WORD_RULE, known, code, ("import json", "import re"))
    if tokenizer.name == "char":
        rule = _CHAR_RULES[tokenizer.mode] + _CHAR_RULE
        code = _LOOP.format(ids=_CHAR_IDS[tokenizer.mode])
        return Reading({**state, "alphabet": ALPHABET}, rule, plain, code, ("import json",))
    if tokenizer.name == "wordpiece":
        imports, packages = ("from tokenizers import Tokenizer",), ("tokenizers",)
        return Reading(_filled(state), _PIECES_RULE, plain, _PIECES, imports, packages)
    raise ValueError(f"the tokenizer {tokenizer.name!r} has no description for other programs")


def _filled(state: dict[str, Any]) -> dict[str, Any]:
    """The library's own file with the cut and the filling that are ours inside this library."""
    import tokenizers

    model = tokenizers.Tokenizer.from_str(json.dumps(state["model"]))
    model.enable_truncation(state["length"])
    pad = model.token_to_id("[PAD]") or 0
    model.enable_padding(length=state["length"], pad_id=pad, pad_token=model.id_to_token(pad))
    return json.loads(model.to_str())
