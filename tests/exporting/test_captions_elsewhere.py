"""The Python and the files by which strangers read captions, against the tokenizers themselves."""

import json

import numpy as np
import pytest

from exporting.tiny_samplers import tokenizer
from t2i_jax.data.tokenizers.char import MODES, CharTokenizer
from t2i_jax.exporting.captions_elsewhere import FILE, reading

CAPTIONS = [
    "a small red bird with black wings",
    "It's a RED-bird; it's BLACK? [SEP] [PAD] bill_1",
    "\ufffd\ufffdr\u00e9d\ufffd\ufffdbird\u65e5\u672c \u0130 wing-",
    "x" * 90 + "a small bird " * 30,
    "?!",
    "",
]


def as_strangers(tokens, folder, monkeypatch):
    """(ids, mask) by the README's lines, run where the tokenizer's file is."""
    found = reading(tokens)
    (folder / FILE).write_text(json.dumps(found.state), encoding="utf-8")
    monkeypatch.chdir(folder)
    names = {"captions": CAPTIONS, "np": np}
    exec("\n".join([*found.imports, found.code]), names)
    return names["tokens"], names["mask"]


@pytest.mark.parametrize("name", ["word", "wordpiece", *MODES])
def test_the_lines_of_the_readme_read_as_the_tokenizer_does(name, tmp_path, monkeypatch):
    ours = CharTokenizer(40, name) if name in MODES else tokenizer(name, tmp_path)
    expected = ours.encode(CAPTIONS)
    for found, wanted in zip(as_strangers(ours, tmp_path, monkeypatch), expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    assert len({tuple(row) for row in expected[0]}) >= 4


@pytest.mark.parametrize("name", ["word", "char"])
def test_the_example_has_captions_that_are_read_whole(name, tmp_path):
    ours = tokenizer(name, tmp_path)
    for caption in reading(ours).captions:
        assert caption and not ours.unknown(caption)


def test_an_unknown_tokenizer_is_named(tmp_path):
    ours = tokenizer("char", tmp_path)
    ours.name = "mine"
    with pytest.raises(ValueError, match="'mine'"):
        reading(ours)
