"""The pyramid of resolutions, against Pillow."""

import jax
import numpy as np
import pytest
from PIL import Image

from t2i_jax.models.images import pyramid


def test_reductions_are_pillows_bilinear_ones():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    sizes = (8, 16, 32)
    for size, reduced in zip(sizes, jax.jit(lambda x: pyramid(x, sizes))(x), strict=True):
        for picture, found in zip(x, np.asarray(reduced), strict=True):
            for channel in range(3):
                plane = Image.fromarray(picture[..., channel])
                expected = plane.resize((size, size), Image.Resampling.BILINEAR)
                np.testing.assert_allclose(found[..., channel], expected, atol=1e-6)


def test_sizes_may_repeat_and_a_finished_pyramid_passes():
    x = np.zeros((1, 16, 16, 3), np.float32)
    levels = pyramid(x, (16, 16))
    assert [level.shape[1] for level in levels] == [16, 16]
    assert pyramid(levels, (16, 16)) == levels
    with pytest.raises(ValueError, match=r"a pyramid of \[16, 16\] px"):
        pyramid(levels, (8, 16))


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="set data.size to 32 or more"):
        pyramid(np.zeros((1, 16, 16, 3)), (16, 32))
