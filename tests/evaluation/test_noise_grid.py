"""A column of the grid is one noise, a row is one caption."""

import json

import numpy as np
import pytest
from tiny_runs import gan_run

from t2i_jax import Sampler
from t2i_jax.evaluation import noise_grid

CAPTIONS = ["a red bird", "a blue bird with a long caption " * 6]


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    return Sampler.from_workdir(gan_run(tmp_path_factory.mktemp("runs") / "gan"), batch_size=3)


def test_every_caption_has_the_same_noises(sampler):
    result, drawn, _ = noise_grid.evaluate(sampler.sample, CAPTIONS, 3, 5, {"step": 2})
    assert result == {"step": 2, "captions": CAPTIONS, "columns": 3, "seed": 5}
    assert json.dumps(result)
    pixels = np.asarray(drawn["grid"])
    for caption in CAPTIONS:
        for image in sampler.sample([caption] * 3, seed=5):  # the k-th image has the k-th noise
            assert _shows(pixels, image.repeat(4, 0).repeat(4, 1))  # 32 pixels at 128


def _shows(pixels, image) -> bool:
    height, width = image.shape[:2]
    return any(
        np.array_equal(pixels[y : y + height, x : x + width], image)
        for y, x in np.argwhere((pixels == image[0, 0]).all(axis=-1))
    )


def test_a_run_without_text_is_told():
    with pytest.raises(ValueError, match="needs captions"):
        noise_grid.evaluate(lambda *_: None, [], 3, 0, {})
