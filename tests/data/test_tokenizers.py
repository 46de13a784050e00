"""Tokenizers against the golden ids, AttnGAN's vocabularies and BERT's published example."""

import json
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2i_jax.data import pickles, tokenizers
from t2i_jax.data.tokenizers import (
    CharTokenizer,
    WordPieceTokenizer,
    WordTokenizer,
    caption_words,
)

# The vocabulary and sentence of the test that ships with BERT's public code.
BERT = ["[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ","]
BERT_TEXT, BERT_IDS = "UNwant\u00e9d,running", [7, 4, 5, 10, 8, 9]


@pytest.fixture
def vocab_txt(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*BERT, "[PAD]"]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        ("lower", "ids"),
        ("case_sensitive", "ids_case_sensitive"),
        ("cut_at_zero", "ids_cut_at_zero"),
        ("unknown_as_space", "ids_unknown_as_space"),
    ],
)
def test_characters_have_the_golden_ids(golden_dir, mode, key):
    golden = np.load(golden_dir / "char_cnn_rnn.npz")
    expected = golden[f"text/{key}"]
    tokenizer = CharTokenizer(length=expected.shape[1], mode=mode)
    ids, mask = tokenizer.encode([str(text) for text in golden["text/strings"]])
    assert ids.dtype == np.int32 and mask.dtype == bool and expected.max() < tokenizer.vocab_size
    np.testing.assert_array_equal(ids, expected)
    assert not ids[~mask].any()


def test_characters_come_back():
    tokenizer = CharTokenizer()
    texts = ["a small bird, with a 2-tone beak!", "", "naïve"]
    ids, mask = tokenizer.encode(texts)
    assert tokenizer.decode(ids) == [texts[0], "", "na\ufffd\ufffdve"]
    assert mask.sum(1).tolist() == [33, 0, 6] == [tokenizer.count(text) for text in texts]
    assert (tokenizer.length, tokenizer.vocab_size) == (201, 71)


def test_unknown_characters_are_reported():
    assert CharTokenizer().unknown("Naïve\tcafé ïs") == ["ï", "\t", "é"]
    assert CharTokenizer(mode="case_sensitive").unknown("The Bird") == ["T", "B"]
    assert CharTokenizer().unknown("a plain bird") == []


def test_words_follow_attngan_rule():
    text = "The bird\ufffd\ufffds wing, it's 3-toned caf\u00e9 \u4e2d\u6587 RED."
    expected = ["the", "bird", "s", "wing", "it", "s", "3", "toned", "caf", "red"]
    assert caption_words(text) == expected


def caption_lines(root, names):
    return [(root / f"{name}.txt").read_text(encoding="utf-8").split("\n") for name in names]


def test_the_mini_cub_vocabulary_is_attngan_own(shared_data):
    cub = shared_data / "cub"
    names = [pickles.load(cub / part / "filenames.pickle") for part in ("train", "test")]
    lines = [caption_lines(cub / "text_c10", part) for part in names]
    tokenizer = WordTokenizer.build(lines[0] + lines[1], length=70)
    assert tokenizer.vocab_size == 1209
    released = cub / "captions.pickle"
    assert WordTokenizer.from_config(captions_pickle=str(released)).words == tokenizer.words
    # The released word ids of every caption, caption j of image i at 10 i + j.
    captions = pickles.load(released)[0]
    flat = [line for image in lines[0] for line in image if line.strip()]
    ids, mask = tokenizer.encode(flat)
    assert len(flat) == len(captions)
    for row, keep, expected in zip(ids, mask, captions, strict=True):
        assert row[keep].tolist() == list(expected)


def test_the_large_cub_vocabulary_has_the_known_size(shared_data):
    metadata = shared_data / "cub" / "full_metadata"
    archive = metadata / "text_c10_without_heldout.tar.gz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    texts = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".txt"):
                name = "/".join(member.name.split("/")[-2:])[: -len(".txt")]
                texts[name] = tar.extractfile(member).read().decode("utf-8")
    names = [
        name
        for part in ("train", "test")
        for name in pickles.load(metadata / part / "filenames.pickle")
        if name in texts
    ]
    assert len(names) == len(texts) == 11653
    assert WordTokenizer.build(texts[name].split("\n") for name in names).vocab_size == 5408


def test_words_are_cut_or_thinned():
    words = ["<end>", *(f"w{i}" for i in range(1, 31))]
    tokenizer = WordTokenizer(words, length=8)
    text = " ".join(words[1:])
    ids, mask = tokenizer.encode([text, "w3 nothing w5", "nothing"])
    assert ids[0].tolist() == list(range(1, 9)) and mask[0].all()
    assert ids[1].tolist() == [3, 5, 0, 0, 0, 0, 0, 0] and mask[1].sum() == 2
    assert mask[2].sum() == 1 and not ids[2].any()  # <end> alone: no empty row reaches attention
    rng, used = np.random.default_rng(0), np.zeros(31)
    for _ in range(500):
        row = tokenizer.encode([text], rng)[0][0]
        assert (np.diff(row) > 0).all()  # some of the words, in their order
        used[row] += 1
    assert used[1:].min() > 85  # each of 30 words about 500 * 8 / 30 = 133 times
    assert tokenizer.encode(["w2 w1"], rng)[0][0, :2].tolist() == [2, 1]
    assert tokenizer.unknown("w3 nothing W5 nothing ever") == ["nothing", "ever"]
    assert tokenizer.unknown("!?") == ["!?"]
    assert tokenizer.decode(ids)[1] == "w3 w5"


def test_only_the_first_captions_of_an_image_count():
    lines = ["", "one", "!!", "two", "three"]
    assert WordTokenizer.build([lines], captions=2).words == ["<end>", "one", "two"]
    assert WordTokenizer.build([lines], captions=None).words == ["<end>", "one", "two", "three"]


@pytest.mark.parametrize("absent", [None, "", ()])
def test_a_config_without_a_vocabulary_takes_the_captions(absent):
    images = iter([["a red bird"], ["a blue bird"]])
    options = {"words": absent, "captions_pickle": absent, "length": 3}
    made = tokenizers.from_config("word", images=images, **options)
    assert made.words == ["<end>", "a", "red", "bird", "blue"] and made.length == 3
    unread = iter([["a red bird"]])
    made = tokenizers.from_config("word", words=("<end>", "owl"), captions_pickle="", images=unread)
    assert made.words == ["<end>", "owl"] and next(unread) == ["a red bird"]


def test_wordpiece_gives_bert_published_ids(vocab_txt):
    tokenizer = WordPieceTokenizer.from_file(str(vocab_txt), length=10)
    ids, mask = tokenizer.encode([BERT_TEXT, "want xyz", ""])
    assert (
        ids[0].tolist() == [1, *BERT_IDS, 2, 11, 11]
        and mask[0].tolist() == [True] * 8 + [False] * 2
    )
    assert ids[1, :4].tolist() == [1, 3, 0, 2] and ids[2, :2].tolist() == [1, 2]
    assert (
        mask.sum(1).tolist()
        == [8, 4, 2]
        == [tokenizer.count(text) for text in (BERT_TEXT, "want xyz", "")]
    )
    assert tokenizer.unknown("want xyz and want") == ["xyz", "and"]
    assert tokenizer.decode(ids)[0] == "unwanted, running"


def test_a_cut_wordpiece_row_ends_with_sep(vocab_txt):
    tokenizer = WordPieceTokenizer.from_file(str(vocab_txt), length=5)
    ids, mask = tokenizer.encode([BERT_TEXT])
    assert ids[0].tolist() == [1, *BERT_IDS[:3], 2] and mask.all()


def test_wordpiece_lines_end_at_line_feeds_alone(tmp_path):
    odd = ["\u2028", "a\x85b", "\x1c"]  # str.splitlines breaks a line at each of them
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *odd, "bird"]
    for end in ("\n", "\r\n"):
        path = tmp_path / "vocab.txt"
        path.write_bytes(end.join([*pieces, ""]).encode("utf-8"))
        tokenizer = WordPieceTokenizer.from_file(str(path), length=3)
        assert tokenizer.vocab_size == len(pieces)
        assert tokenizer.encode(["bird"])[0].tolist() == [[2, 7, 3]]


def test_tokenizer_json_reads_like_vocab_txt(vocab_txt, tmp_path):
    first = WordPieceTokenizer.from_file(str(vocab_txt), length=9)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(first.to_json()["model"]))
    second = tokenizers.from_config("wordpiece", path=str(path), length=9)
    np.testing.assert_array_equal(first.encode([BERT_TEXT])[0], second.encode([BERT_TEXT])[0])


def some_tokenizers(vocab_txt):
    return [
        CharTokenizer(length=20, mode="unknown_as_space"),
        WordTokenizer(["<end>", "want", "running"], length=4),
        WordPieceTokenizer.from_file(str(vocab_txt), length=6),
    ]


def test_state_survives_json_and_pickle(vocab_txt):
    for tokenizer in some_tokenizers(vocab_txt):
        state = json.loads(json.dumps(tokenizer.to_json()))
        for copy in (tokenizers.from_json(state), pickle.loads(pickle.dumps(tokenizer))):
            assert type(copy) is type(tokenizer) and copy.vocab_size == tokenizer.vocab_size
            np.testing.assert_array_equal(copy.encode([BERT_TEXT]), tokenizer.encode([BERT_TEXT]))


@given(st.lists(st.text(max_size=80), max_size=4))
def test_any_text_gives_rows_of_the_promised_form(texts):
    for tokenizer in (CharTokenizer(length=20), WordTokenizer(["<end>", "a", "b"], length=3)):
        ids, mask = tokenizer.encode(texts)
        assert ids.shape == mask.shape == (len(texts), tokenizer.length)
        assert ids.size == 0 or (ids.min() >= 0 and ids.max() < tokenizer.vocab_size)
        assert (np.diff(mask.astype(int), axis=1) <= 0).all()  # text first, padding after
        for text in texts:
            tokenizer.unknown(text)
        tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CharTokenizer(mode="upper"), "'upper'"),
        (lambda: CharTokenizer(length=0), "length: 0"),
        (lambda: WordTokenizer(["a", "b"]), "<end>"),
        (lambda: WordTokenizer(["<end>", "a", "a"]), "twice"),
        (lambda: WordTokenizer.from_config(), "tokenizer.words or tokenizer.captions_pickle"),
        (lambda: WordTokenizer.from_config(words=["<end>"], captions_pickle="x"), "both given"),
        (lambda: WordTokenizer.build([["!?", "\u4e2d"], []]), "no caption has a word"),
        (lambda: WordPieceTokenizer.from_file("/nowhere/vocab.txt"), "no file /nowhere/vocab.txt"),
        (lambda: tokenizers.from_config("bpe"), "no 'bpe'"),
        (lambda: tokenizers.from_json({"length": 3}), "no field 'name'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_files_that_are_something_else_are_refused(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"lacks \['\[PAD\]'"):
        WordPieceTokenizer.from_file(str(vocabulary))
    model = tmp_path / "tokenizer.json"
    model.write_text("{}")
    with pytest.raises(ValueError, match="not a tokenizer.json"):
        WordPieceTokenizer.from_file(str(model))
    captions = tmp_path / "captions.pickle"
    captions.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="not AttnGAN's"):
        WordTokenizer.from_config(captions_pickle=str(captions))
    captions.write_bytes(pickle.dumps([[], [], {0: "<end>"}, {}]))
    with pytest.raises(ValueError, match="broken download"):
        WordTokenizer.from_config(captions_pickle=str(captions))
