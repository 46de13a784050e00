"""Published files of RAT-GAN and DF-GAN become runs that draw, and show, what the networks do."""

import jax.numpy as jnp
import numpy as np
import pth_files
import pytest
from imports import CAPTIONS, WORDS, applied, damsm_text, levels, noise, noise_of, refused, size
from models.affine_nets import random_variables

from t2i_jax import Sampler
from t2i_jax.commands import import_weights
from t2i_jax.data.tokenizers import WordTokenizer
from t2i_jax.drawing import drawer
from t2i_jax.interop import df_gan, rat_gan
from t2i_jax.models import df_gan as df_models
from t2i_jax.models import rat_gan as rat_models

TINY = {"channels": 2, "image_size": 16, "noise_dim": 4}
EMPTY = jnp.zeros((1, 8))  # the sentence of one row


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """(options, sentences of `CAPTIONS`) of a published text encoder."""
    options, encoder, variables = damsm_text(tmp_path_factory.mktemp("damsm"))
    return options, encoder.apply(variables, *WordTokenizer(WORDS, 18).encode(CAPTIONS)).sentence


@pytest.mark.parametrize("affines", [4, 6])
def test_rat_gan_with_as_many_affine_layers_as_one_says(affines, words, tmp_path, capsys):
    """Which is not in the file; and its discriminator, of which samples and photos show where it
    looks.
    """
    options, sentence = words
    g = rat_models.Generator(**TINY, state_dim=6, affines=affines)
    d = rat_models.Discriminator(channels=2, image_size=16, attention="softmax")
    g_vars = random_variables(g, noise_of(g), EMPTY)
    d_vars = random_variables(d, jnp.zeros((1, 16, 16, 3)), EMPTY)
    files = {
        "generator": rat_gan.export_generator(g, g_vars),
        "discriminator": rat_gan.export_discriminator(d, d_vars),
    }
    run, argv = tmp_path / "run", ["--system=rat_gan", *options]
    for part, state in files.items():
        state = {f"module.{name}": array for name, array in state.items()}
        argv.append(f"--{part}={pth_files.write(tmp_path / f'{part}.pth', state)}")
    told = [] if affines == 4 else ["--generator.affines=6"]
    import_weights.main([*argv, *told, f"--workdir={run}"])
    printed = capsys.readouterr().out
    assert all(f"{size(tree):,} parameters" in printed for tree in (g_vars, d_vars))

    sampler = Sampler.from_workdir(run, batch_size=2)
    images, extras = sampler.sample(CAPTIONS, seed=5, extras=["attention"])
    (expected,) = applied(g, g_vars, noise(sampler), sentence)
    assert levels(images, expected) <= 1
    _, found = applied(d, d_vars, expected, sentence)
    np.testing.assert_allclose(extras["attention"], found["attention"], atol=1e-5)
    given = sampler.examine(images, CAPTIONS)["attention"]
    _, found = applied(d, d_vars, sampler.view(images) / 127.5 - 1, sentence)
    np.testing.assert_allclose(given, found["attention"], atol=1e-5)
    assert np.ptp(given) > 1e-3

    for wrong, message in (
        ("--generator.affines=four", "'generator.affines' takes a whole number"),
        ("--generator.affines=5", "affines=4 or 6"),
        ("--generator.affine=6", "did you mean 'affines'"),
        ("--discriminator.attention=hard", "attention must be one of"),
    ):
        assert message in refused([*argv, wrong, f"--workdir={tmp_path / 'other'}"], capsys)


@pytest.mark.parametrize("version", ["2022", "2020"])
def test_df_gan_of_both_releases_and_truncated_noise(version, words, tmp_path, capsys):
    options, sentence = words
    width = 6 if version == "2020" else 0
    module = df_models.Generator(**TINY, version=version, affine_dim=width)
    variables = random_variables(module, noise_of(module), EMPTY)
    state = df_gan.export_generator(module, variables)
    path, argv = tmp_path / "state_epoch_1220.pth", ["--system=df_gan", *options]
    if version == "2022":  # a file of all networks
        d = df_models.Discriminator(2, 16)
        d_vars = random_variables(d, jnp.zeros((1, 16, 16, 3)), EMPTY)
        state = {"model": {"netG": state, **df_gan.export_discriminator(d, d_vars)}, "epoch": 1220}
        argv.append(f"--discriminator={path}")
    pth_files.write(path, state)
    import_weights.main([*argv, f"--generator={path}", f"--workdir={tmp_path / 'run'}"])
    assert ("not kept" in capsys.readouterr().out) == (version == "2022")
    sampler = Sampler.from_workdir(tmp_path / "run", batch_size=2)
    (expected,) = applied(module, variables, noise(sampler), sentence)
    assert levels(sampler.sample(CAPTIONS, seed=5), expected) <= 1

    cut = sampler.system.recipe.sample_noise(drawer.image_keys(5, range(2)), truncation=1.0)
    assert np.abs(cut["z"]).max() <= 2
    (expected,) = applied(module, variables, {"z": 0.88 * cut["z"]}, sentence)
    assert levels(sampler.sample(CAPTIONS, seed=5, truncation=0.88), expected) <= 1
