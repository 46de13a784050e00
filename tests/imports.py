"""What the tests of imported weights share: published text encoders, what a run then draws."""

import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pth_files
import pytest
from tiny_runs import random_like

from t2i_jax.commands import import_weights
from t2i_jax.drawing import drawer
from t2i_jax.encoders.damsm import TextEncoder
from t2i_jax.interop import damsm

WORDS = ["<end>", "a", "red", "bird", "blue", "small"]
CAPTIONS = ["a small red bird", "a blue bird"]
KEY = jax.random.key(0)


def damsm_text(folder: pathlib.Path):
    """(options, encoder, variables) of a DAMSM text encoder with its dictionary, as published."""
    encoder = TextEncoder(vocab_size=len(WORDS), word_dim=5, embedding=8)
    variables = random_like(encoder.init, KEY, jnp.ones((1, 3), jnp.int32))
    path = pth_files.write(folder / "text_encoder200.pth", damsm.export_text_encoder(variables))
    captions = [[], [], dict(enumerate(WORDS)), {word: i for i, word in enumerate(WORDS)}]
    (folder / "captions.pickle").write_bytes(pickle.dumps(captions, 2))
    options = [f"--text_encoder={path}", f"--captions={folder / 'captions.pickle'}"]
    return options, encoder, variables


def noise_of(module):
    return {name: jnp.zeros((1, *shape)) for name, shape in module.noise_shapes.items()}


def levels(images, expected) -> int:
    """The largest difference in 0..255 of drawn images from a generator's in [-1, 1]."""
    expected = np.rint((np.asarray(expected, np.float64) + 1) * 127.5)
    assert images.shape == expected.shape and expected.std() > 10
    return int(np.abs(images - expected).max())


def noise(sampler):
    """Of the first two images of seed 5."""
    return sampler.system.recipe.sample_noise(drawer.image_keys(5, range(2)))


def applied(module, variables, *inputs):
    """What a module makes of inputs in evaluation mode."""
    return jax.jit(lambda v, *x: module.apply(v, *x, train=False))(variables, *inputs)


def size(variables) -> int:
    """The number of parameters."""
    return sum(x.size for x in jax.tree.leaves(variables["params"]))


def refused(argv, capsys) -> str:
    with pytest.raises(SystemExit) as stopped:
        import_weights.main(argv)
    assert stopped.value.code == 2
    (run,) = (a.removeprefix("--workdir=") for a in argv if a.startswith("--workdir="))
    assert not (pathlib.Path(run) / "config.json").exists()
    return capsys.readouterr().err
