"""The JSON files of a run, damaged in every way that a disk knows."""

import json
import math
import zlib

import pytest

from t2i_jax import config as configs
from t2i_jax.data import tokenizers
from t2i_jax.training import runs, sealed


@pytest.fixture
def run(tmp_path):
    config = configs.base()
    config.system, config.seed = "gan_int_cls", 7
    runs.write_config(tmp_path, config)
    images = [["a red bird with ünusual wings"], ["a blue bird"]]
    words = tokenizers.from_config("word", images=images, length=5)
    runs.write_tokenizer(tmp_path, words)
    return tmp_path


READERS = {
    "config.json": lambda run: runs.read_config(run).to_dict(),
    "tokenizer.json": lambda run: runs.read_tokenizer(run).to_json(),
}


@pytest.mark.parametrize("name", READERS)
def test_every_flipped_bit_is_an_error_or_harmless(run, name):
    """Harmless: between fields, or in the name of the checksum's field."""
    path, read = run / name, READERS[name]
    good, data = read(run), path.read_bytes()
    refused = 0
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        try:
            found = read(run)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            found.pop("brc32", None), found.pop("csc32", None)
            assert {k: v for k, v in found.items() if k in good} == good
    assert refused > 0.6 * len(data.replace(b" ", b""))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("left", [b"", b"{}x", b"\xff\xfe", b'{"a": 1'])
def test_damaged_files_are_named(run, name, left):
    (run / name).write_bytes(left)
    with pytest.raises(ValueError, match=f"{name} (is damaged|describes no tokenizer)"):
        READERS[name](run)


def test_files_without_a_checksum_are_of_older_runs(run):
    for name, read in READERS.items():
        good = read(run)
        fields = json.loads((run / name).read_text())
        assert fields.pop(sealed.SEAL)
        (run / name).write_text(json.dumps(fields))
        assert read(run) == good


def test_the_checksum_is_crc32_of_the_sorted_json():
    value = {"b": [1, 2.5, None], "a": {"ü": math.inf}}
    text = r'{"a": {"\u00fc": Infinity}, "b": [1, 2.5, null]}'
    assert sealed.seal(value)["crc32"] == f"{zlib.crc32(text.encode()):08x}"
    assert sealed.unseal(sealed.seal(value)) == value
    with pytest.raises(ValueError, match="checksum should be"):
        sealed.unseal({**sealed.seal(value), "b": 1})
