"""The cache of sentence vectors is known by what decides them, and damage is noticed."""

import concurrent.futures
import errno
import re
import threading
import time

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.data import tokenizers
from t2i_jax.training import sentence_cache
from t2i_jax.types import Text

CAPTIONS = [["a red bird", "it sings"], ["a blue bird"], ["a bird", "birds", "two birds"]]


class Sums(nn.Module):
    """The sum of the rows of a table that a caption's characters name."""

    scale: float = 1.0

    def __call__(self, tokens, mask):
        table = jnp.asarray(self.variables["params"]["table"])
        return Text(self.scale * jnp.sum(jnp.where(mask[..., None], table[tokens], 0), axis=1))


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.from_config("char", length=12)


@pytest.fixture(scope="module")
def table(tokenizer):
    values = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, 4))
    return values.astype(np.float32)


def expected(tokenizer, table, text):
    ids, mask = tokenizer.encode([text])
    return table[ids[0][mask[0]]].sum(axis=0)


class Cache:
    """Calls with one folder; what was said, since the last call."""

    def __init__(self, folder, tokenizer, table):
        self.folder, self.said = folder, []
        self.usual = {
            "captions": CAPTIONS,
            "encoder": Sums(),
            "variables": {"params": {"table": table}},
            "tokenizer": tokenizer,
        }

    def __call__(self, **changed):
        self.said.clear()
        arguments = {**self.usual, **changed}
        return sentence_cache.sentences(self.folder, **arguments, say=self._say)

    def _say(self, text):
        self.said.append(re.sub(r"in [\d.]+ s$", "in ... s", text))

    @property
    def file(self):
        (path,) = self.folder.iterdir()
        return path


@pytest.fixture
def cache(tmp_path, tokenizer, table):
    return Cache(tmp_path / "cache", tokenizer, table)


def test_vectors_are_those_of_the_captions_and_are_made_once(cache, tokenizer, table):
    found = cache()
    assert isinstance(found, np.memmap) and found.shape == (3, 3, 4)
    for i, texts in enumerate(CAPTIONS):
        for j, text in enumerate(texts):
            np.testing.assert_allclose(found[i, j], expected(tokenizer, table, text), rtol=1e-5)
    assert not found[0, 2].any() and not found[1, 1:].any()
    assert cache.said == ["encoding captions: 6 of 6 done in ... s"]
    before = cache.file
    np.testing.assert_array_equal(cache(), found)
    assert cache.said == [] and cache.file == before


def test_what_changes_the_vectors_makes_a_new_cache(cache, tokenizer, table):
    """A corrected caption, the order of captions and records, whose caption it is, another length,
    another weight, another field: no vector of before is read, and no file of before is left.
    """
    names, (first, second, third) = [], CAPTIONS
    changes = [
        {},
        {"captions": [["a red bird", "it sang"], second, third]},
        {"captions": [first[::-1], second, third]},
        {"captions": [second, first, third]},
        {"captions": [first[:1], [*first[1:], *second], third]},
        {"tokenizer": tokenizers.from_config("char", length=8)},
        {"variables": {"params": {"table": np.where(table == table[3, 1], 0.5, table)}}},
        {"encoder": Sums(2.0)},
    ]
    for change in changes:
        found = cache(**change)
        assert cache.said == ["encoding captions: 6 of 6 done in ... s"], change
        names.append(cache.file.name)
        scale = change["encoder"].scale if "encoder" in change else 1.0
        now = change.get("tokenizer", tokenizer), table
        if "variables" in change:
            now = tokenizer, change["variables"]["params"]["table"]
        for texts, vectors in zip(change.get("captions", CAPTIONS), found, strict=True):
            for text, vector in zip(texts, vectors, strict=False):
                np.testing.assert_allclose(vector, scale * expected(*now, text), rtol=1e-5)
    assert len(set(names)) == len(changes)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text"])
def test_a_damaged_file_is_made_again_and_said(cache, damage):
    good = np.array(cache())
    path = cache.file
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-7] ^= 4  # one bit of a number
    new = {"cut": content[:-5], "empty": b"", "text": b"no array\n"}.get(damage, content)
    path.unlink()  # not under the array that is mapped
    path.write_bytes(new)
    np.testing.assert_array_equal(cache(), good)
    assert cache.said == [
        f"{path} is damaged (it does not fit its checksum): encoding the captions again",
        "encoding captions: 6 of 6 done in ... s",
    ]
    cache()
    assert cache.said == []


def test_a_split_without_captions(cache):
    with pytest.raises(ValueError, match="no captions to encode: set encoder.name=''"):
        cache(captions=[[], []])


def test_a_full_disk_leaves_nothing_behind(tokenizer, table, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sentence_cache.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        Cache(tmp_path, tokenizer, table)()
    assert not list(tmp_path.iterdir())


def test_a_shared_folder_keeps_the_files_of_all(cache, tokenizer, table):
    """Other captions are beside each other there; a damaged file is replaced, and no other."""
    others = [["another bird"]]
    first, second = np.array(cache(shared=True)), np.array(cache(shared=True, captions=others))
    np.testing.assert_allclose(second[0, 0], expected(tokenizer, table, *others[0]), rtol=1e-5)
    assert len(list(cache.folder.glob("*.npy"))) == 2
    np.testing.assert_array_equal(cache(shared=True), first)
    assert cache.said == []
    for path in cache.folder.glob("*.npy"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-4])
    np.testing.assert_array_equal(cache(shared=True), first)
    assert len(cache.said) == 2 and "is damaged" in cache.said[0]
    assert len(list(cache.folder.glob("*.npy"))) == 2


def test_several_at_once_encode_once(tokenizer, table, tmp_path, monkeypatch):
    """Every call opens the lock for itself, as another process does. One is killed meanwhile."""
    calls, encode = [], sentence_cache._encode_all
    everybody = threading.Barrier(5)

    def slow(path, *rest):
        calls.append(path)
        if len(calls) == 1:
            time.sleep(0.3)
            raise KeyboardInterrupt
        encode(path, *rest)

    def one(_):
        everybody.wait()
        try:
            return np.array(Cache(tmp_path, tokenizer, table)(shared=True))
        except KeyboardInterrupt:
            return None

    monkeypatch.setattr(sentence_cache, "_encode_all", slow)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        found = [x for x in pool.map(one, range(5)) if x is not None]
    assert len(found) == 4 and len(calls) == 2
    assert len(list(tmp_path.glob("*.npy"))) == 1
    for vectors in found:
        np.testing.assert_array_equal(vectors, found[0])
