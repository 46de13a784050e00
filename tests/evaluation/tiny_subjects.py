"""Run directories with random networks that only evaluation needs: encoders of images, and a
generator without text.
"""

import pathlib

import jax
import jax.numpy as jnp
from tiny_runs import ROOT, random_like, save

from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import modules, runs
from t2i_jax.training.checkpoints import Checkpoints


def encoder_run(
    workdir: pathlib.Path, *overrides: str, system: str = "char_cnn_rnn"
) -> pathlib.Path:
    """A run of ``configs/<system>.py:debug``, saved at step 1."""
    config = configs.load(f"{ROOT / 'configs' / system}.py:debug")
    configs.override(config, ["data.data_dir=nowhere", *overrides])
    tokens = jnp.zeros((1, 2, 201), jnp.int32)
    return _saved(workdir, config, {types.TOKENS: tokens, types.MASK: tokens > 0})


def unconditional_run(workdir: pathlib.Path, *overrides: str) -> pathlib.Path:
    """A run of ``configs/stack_gan_v2.py:debug_unconditional``, saved at step 1."""
    config = configs.load(f"{ROOT / 'configs' / 'stack_gan_v2.py'}:debug_unconditional")
    configs.override(config, ["data.data_dir=nowhere", *overrides])
    return _saved(workdir, config, {})


def _saved(workdir: pathlib.Path, config, batch) -> pathlib.Path:
    size = config.data.size
    batch = {types.IMAGES: jnp.zeros((1, size, size, 3)), **batch}
    recipe = modules.make_recipe(config)
    players = random_like(lambda key: recipe.init(key, Seen(batch)), jax.random.key(0))
    for variables in players.values():
        variables.setdefault("batch_stats", {})
    workdir.mkdir(parents=True)
    runs.write_config(workdir, config)
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        save(checkpoints, 1, config, players)
    return workdir
