"""Choosing captions, and windows of long narratives."""

import collections
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2i_jax.data import captions
from t2i_jax.data.tokenizers import CharTokenizer, WordPieceTokenizer, WordTokenizer


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 1000))
def test_no_caption_is_repeated_before_all_were_used(count, wanted, seed):
    chosen = captions.choose(count, wanted, False, np.random.default_rng(seed))
    assert len(chosen) == wanted and set(chosen) <= set(range(count))
    used = collections.Counter(chosen.tolist())
    assert max(used.values()) <= -(-wanted // count)


def test_with_replacement_repeats_as_chance_has_it():
    rng = np.random.default_rng(0)
    distinct = [len(set(captions.choose(10, 4, True, rng))) == 4 for _ in range(4000)]
    assert abs(np.mean(distinct) - 10 * 9 * 8 * 7 / 10**4) < 0.03


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 100))
def test_a_window_is_a_run_of_sentences_as_long_as_fits(lengths, seed):
    tokenizer = CharTokenizer(length=60)
    sentences = [chr(97 + i) * length + "." for i, length in enumerate(lengths)]
    text = " ".join(sentences)
    window = captions.sentence_window(text, tokenizer, np.random.default_rng(seed))
    if len(text) <= 60:
        assert window == text
        return
    runs = {
        " ".join(sentences[i:j]): (i, j)
        for i in range(len(sentences))
        for j in range(i + 1, len(sentences) + 1)
    }
    begin, end = runs[window]
    assert len(window) <= 60
    assert end == len(sentences) or len(window) + 1 + len(sentences[end]) > 60
    if end == len(sentences) and begin:  # the last window is no shorter than need be
        assert len(window) + 1 + len(sentences[begin - 1]) > 60


def test_windows_begin_anywhere():
    tokenizer = CharTokenizer(length=10)
    rng = np.random.default_rng(0)
    text = "aaaa. bbb. cccccc. dd. eeeee."
    windows = {captions.sentence_window(text, tokenizer, rng) for _ in range(200)}
    assert windows == {"aaaa. bbb.", "bbb.", "cccccc.", "dd. eeeee."}
    # One long sentence stays whole; the tokenizer cuts it.
    assert captions.sentence_window("a" * 30, tokenizer, rng) == "a" * 30


def records_of(*texts):
    return [{"captions": [text]} for text in texts]


def test_captions_that_are_cut_are_counted():
    tokenizer = WordTokenizer(["<end>", "a", "b"], length=3)
    records = [{"captions": ["a b", "a b a b"]}, {"captions": ["b b b"]}, {"captions": ["a " * 9]}]
    (note,) = captions.reading_notes(records, tokenizer, "head")
    assert note.startswith(
        "2 of 4 captions looked at are longer than tokenizer.length=3 and are cut"
    )
    assert note.endswith("(data.truncate='head'); the longest has 9 ids")
    assert captions.reading_notes(records[1:2], tokenizer, "head") == []
    many = [{"captions": ["a " * (1 + 4 * (i % 3 == 0))]} for i in range(2500)]
    (note,) = captions.reading_notes(many, tokenizer, "thin")
    cut, total = note.split(" captions")[0].split(" of ")
    assert total == "1,000" and abs(int(cut) - 333) < 60


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "bird", "##s", "1", ","]


@pytest.fixture
def tokenizers(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    return {
        "char": CharTokenizer(),
        "word": WordTokenizer(["<end>", "a", "red", "bird", "caf"]),
        "wordpiece": WordPieceTokenizer.from_file(str(tmp_path / "vocab.txt")),
    }


@pytest.mark.parametrize(
    ("name", "texts", "note"),
    [
        ("char", ["a café", "a naïve café", "red"], "2 of 3 .* characters .*: 'é' in 2, 'ï' in 1$"),
        ("char", ["a\tbird", "鸟 bird"], "2 of 2 .*: '\\\\t' in 1, '鸟' in 1$"),
        ("char", ["αβγδεζ bird", "a", "b"], "1 of 3 .*'α' in 1, .*'ε' in 1 and 1 others$"),
        ("word", ["a red cat", "a cat", "bird"], "2 of 3 .* words .*: 'cat' in 2$"),
        ("word", ["a 红 bird", "red 红", "a"], "2 of 3 .*: '红' in 2$"),
        ("word", ["a café", "a fée", "red"], "1 of 3 .*: 'fe' in 1$"),
        ("wordpiece", ["a cat", "red birds", "a cat, 1"], "2 of 3 .* words .*: 'cat' in 2$"),
        ("wordpiece", ["a 红 bird", "a"], "1 of 2 .*: '红' in 1$"),
        (
            "wordpiece",
            ["a zebra", "a 🐦", "a cat"],
            "3 of 3 .*: 'cat' in 1, 'zebra' in 1, '🐦' in 1$",
        ),
    ],
)
def test_what_a_tokenizer_does_not_know_is_counted_and_named(tokenizers, name, texts, note):
    notes = captions.reading_notes(records_of(*texts), tokenizers[name], "head")
    assert len(notes) == 1 and re.match(note, notes[0])


@pytest.mark.parametrize("name", ["char", "word", "wordpiece"])
@pytest.mark.parametrize(
    "text", ["红色的小鸟", "маленькая птица", "赤い鳥、白い羽。", "🐦🐦", "¿¡…!"]
)
def test_captions_of_which_nothing_is_read_are_an_error_or_counted(tokenizers, name, text):
    tokenizer = tokenizers[name]
    with pytest.raises(ValueError, match=f"{name!r} knows no letter or digit of the 3 .*give "):
        captions.reading_notes(records_of(*[text] * 3), tokenizer, "head")
    notes = captions.reading_notes(records_of("a red bird", text, "a"), tokenizer, "head")
    assert (
        len(notes) == 2 and notes[1] == f"1 of 3 captions looked at cannot be read at all: {text!r}"
    )


@pytest.mark.parametrize(("mode", "read"), [("case_sensitive", False), ("lower", True)])
def test_capitals_are_read_by_the_mode_that_has_them(mode, read):
    tokenizer, records = CharTokenizer(mode=mode), records_of("A RED BIRD", "BLUE")
    if read:
        assert captions.reading_notes(records, tokenizer, "head") == []
    else:
        with pytest.raises(ValueError, match="tokenizer.mode"):
            captions.reading_notes(records, tokenizer, "head")
