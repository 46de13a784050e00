"""Files of weights, vocabularies and photos are the same on a store as on a local disk."""

import pickle

import numpy as np
import pth_files
import pytest
from fake_store import FORBIDDEN
from PIL import Image

from t2i_jax import paths
from t2i_jax.data import pickles, torch7
from t2i_jax.data.tokenizers import WordPieceTokenizer
from t2i_jax.drawing import given
from t2i_jax.interop import files, weights

TREE = {"params": {"a": np.arange(6.0).reshape(2, 3).T}}  # transposed, as exports often are


def _pickle(path, _):
    path.write_bytes(pickle.dumps([["a"], {"b": 1}], protocol=2))


def _array(path, _):
    np.save(path.with_suffix(".npy"), {"b": np.ones(2)}, allow_pickle=True)
    path.with_suffix(".npy").rename(path)


def _pth(path, _):
    pth_files.write(path, {"state_dict": {"x": np.ones((2, 3), np.float32)}})


def _t7(path, golden_dir):
    path.write_bytes((golden_dir / "t7_samples" / "class_images.t7").read_bytes())


def _photo(path, _):
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path, "PNG")


def _safetensors(path, _):
    weights.save(path, TREE, {"module": "x"})


def _vocabulary(path, _):
    path.write_bytes("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "bird"]).encode())


KINDS = {
    "names.pickle": (_pickle, pickles.load),
    "dict.npy": (_array, pickles.load_object_array),
    "net.pth": (_pth, files.load_state_dict),
    "net.t7": (_t7, files.load),
    "photo.png": (_photo, given.photo),
    "own.safetensors": (_safetensors, weights.load),
    "vocab.txt": (_vocabulary, lambda path: WordPieceTokenizer.from_file(str(path)).to_json()),
}


@pytest.mark.parametrize("name", KINDS)
def test_it_is_read_alike(store, tmp_path, golden_dir, name):
    write, read = KINDS[name]
    write(tmp_path / name, golden_dir)
    there = f"gs://bucket/{name}"
    paths.write_bytes(paths.path(there), (tmp_path / name).read_bytes())
    np.testing.assert_equal(read(there), read(tmp_path / name))


@pytest.mark.parametrize("read", [pickles.load, torch7.load, files.load, weights.load, given.photo])
def test_a_refusal_names_the_file(store, read):
    with pytest.raises(OSError, match=f"^gs://{FORBIDDEN}/file: Forbidden.*gcloud auth"):
        read(f"gs://{FORBIDDEN}/file")


def test_weights_are_written_to_a_store(store):
    weights.save("gs://bucket/own.safetensors", TREE, {"module": "x"})
    assert weights.metadata("gs://bucket/own.safetensors") == {"module": "x"}
    variables, _ = weights.load("gs://bucket/own.safetensors")
    np.testing.assert_equal(variables, TREE)
    assert store.uploads == ["bucket/own.safetensors"]
