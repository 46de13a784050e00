"""The two kinds of modulation that launch/xmc_modulation.py times are one function."""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import pytest
from imports import noise_of
from tiny_runs import random_like

from t2i_jax.interop.xmc_gan import RELEASED
from t2i_jax.models.xmc_gan import Generator

ROOT = pathlib.Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("timed", ROOT / "launch" / "xmc_modulation.py")
timed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(timed)

ROWS, WORDS, WIDTH = 2, 3, 6


@pytest.mark.parametrize("form", [{}, RELEASED], ids=["paper", "release"])
def test_images_are_the_same(form):
    generator = Generator(channels=1, image_size=64, noise_dim=4, **form)
    text = jnp.zeros((1, WIDTH)), jnp.zeros((1, WORDS, WIDTH)), jnp.ones((1, WORDS), bool)

    def init(key):
        return generator.init(key, noise_of(generator), *text, train=False)

    variables = random_like(init, jax.random.key(0))
    with timed.KINDS["by position"]():
        other = random_like(init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, other) == jax.tree.map(jnp.shape, variables)
    difference, deviation = timed.largest_difference(generator, variables, ROWS, WORDS, WIDTH)
    assert difference < 1e-5 and deviation > 0.05
