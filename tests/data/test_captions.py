"""Choosing captions, and windows of long narratives."""

import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from t2i_jax.data import captions
from t2i_jax.data.tokenizers import CharTokenizer, WordTokenizer


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


def test_captions_that_are_cut_are_counted():
    tokenizer = WordTokenizer(["<end>", "a", "b"], length=3)
    records = [{"captions": ["a b", "a b a b"]}, {"captions": ["b b b"]}, {"captions": ["a " * 9]}]
    note = captions.cut_note(records, tokenizer, "head")
    assert note.startswith(
        "2 of 4 captions looked at are longer than tokenizer.length=3 and are cut"
    )
    assert note.endswith("(data.truncate='head'); the longest has 9 ids")
    assert captions.cut_note(records[1:2], tokenizer, "head") == ""
    many = [{"captions": ["a " * (1 + 4 * (i % 3 == 0))]} for i in range(2500)]
    cut, total = captions.cut_note(many, tokenizer, "thin").split(" captions")[0].split(" of ")
    assert total == "1,000" and abs(int(cut) - 333) < 60
