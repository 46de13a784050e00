"""CLIP against the `transformers` library (the extra "peers", ``launch/test_peers.sh``)."""

import numpy as np
import pytest

from t2i_jax.data.tokenizers.byte_pair import ClipTokenizer
from t2i_jax.interop import clip, clip_images

from . import clip_reference as reference

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("variant", reference.VARIANTS)
def test_vectors_are_those_of_transformers(tmp_path, variant):
    model = reference.tiny(variant, tmp_path)
    ours = clip.read(tmp_path)
    ids, _ = ours.tokenizer.encode(reference.CAPTIONS)
    pixels = np.random.default_rng(0).normal(size=(3, 30, 30, 3)).astype(np.float32)
    expected = reference.vectors(model, pixels, ids)
    for (module, variables), given, wanted in zip(
        (ours.image, ours.text), (pixels, ids), expected, strict=True
    ):
        found = module.apply(variables, given)
        assert found.shape == wanted.shape and wanted.std() > 0.1
        np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    assert ours.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_captions_are_read_as_transformers_reads_them(tmp_path):
    reference.tiny("usual", tmp_path)
    theirs = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    options = {"padding": "max_length", "truncation": True, "max_length": 20}
    found = theirs(list(reference.CAPTIONS), **options, return_tensors="np")
    for name in ("vocab.json", "tokenizer.json"):
        ours = ClipTokenizer.from_file(tmp_path, 20)
        ids, mask = ours.encode(reference.CAPTIONS)
        np.testing.assert_array_equal(ids, found["input_ids"], name)
        np.testing.assert_array_equal(mask, found["attention_mask"], name)
        theirs.save_pretrained(tmp_path)  # tokenizer.json, which is then read
        assert (tmp_path / "tokenizer.json").exists()


@pytest.mark.parametrize("height, width", [(40, 53), (53, 40), (36, 36), (20, 20), (31, 90)])
def test_images_are_prepared_as_transformers_prepares_them(tmp_path, height, width):
    processor = reference.image_processor()
    processor.save_pretrained(tmp_path)
    ours = clip_images.read(tmp_path / clip.PREPROCESSOR, 30)
    images = reference.images(height, width)
    expected = processor(list(images), return_tensors="np")["pixel_values"]
    found = np.asarray(ours.scaled(ours.cut(images)))
    np.testing.assert_allclose(found, np.moveaxis(expected, 1, 3), atol=1e-6)
