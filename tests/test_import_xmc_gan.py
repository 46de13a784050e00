"""A checkpoint of the XMC-GAN release, and a BERT, become a run that draws what they do."""

import json

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from imports import CAPTIONS, KEY, applied, levels, noise, noise_of, refused, size
from safetensors.numpy import save_file
from tiny_runs import random_like

from t2i_jax import Sampler
from t2i_jax.commands import import_weights
from t2i_jax.data.tokenizers import WordPieceTokenizer
from t2i_jax.encoders.bert import TextEncoder
from t2i_jax.interop import bert
from t2i_jax.interop.xmc_gan import RELEASED, export_discriminator, export_generator
from t2i_jax.models.xmc_gan import Discriminator, Generator

PIECES = "[PAD] [UNK] [CLS] [SEP] a small red bird blue".split()
WIDTH, LENGTH = 8, 6  # the first caption fills its row, the second has padding


@pytest.fixture
def encoder(tmp_path):
    """(folder, module, variables) of a BERT as Hugging Face keeps it, pooled as in the release."""
    fields = {"vocab_size": len(PIECES), "width": WIDTH, "layers": 1, "heads": 2, "inner": 6}
    module = TextEncoder(**fields, positions=LENGTH, pooling="released")
    variables = random_like(module.init, KEY, jnp.ones((1, LENGTH), jnp.int32))
    folder = tmp_path / "bert-base-uncased"
    folder.mkdir()
    state = bert.export_state(variables)
    # safetensors writes the memory of a transposed view as it lies.
    state = {name: np.ascontiguousarray(array) for name, array in state.items()}
    save_file(state, folder / "model.safetensors")
    described = {
        "model_type": "bert",
        "vocab_size": len(PIECES),
        "hidden_size": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 6,
        "max_position_embeddings": LENGTH,
        "type_vocab_size": module.types,
        "hidden_act": module.activation,
        "layer_norm_eps": module.epsilon,
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    return folder, module, variables


def checkpoint(path, generator, g_vars):
    """Writes what the release's trainer does, with other arrays wherever samples don't come from;
    returns D's variables too.
    """
    discriminator = Discriminator(channels=2, image_size=128)
    images, sentence = jnp.zeros((1, 128, 128, 3)), jnp.zeros((1, WIDTH))
    d_vars = random_like(
        lambda key: discriminator.init(key, images, sentence, WIDTH, train=False), KEY
    )
    g, d = export_generator(generator, g_vars), export_discriminator(discriminator, d_vars)
    trees = {k: unflatten_dict(v, sep="/") for k, v in {**g, "d": d["params"]}.items()}

    def optimizer(target, steps):
        moments = jax.tree.map(lambda x: {"grad_ema": x, "grad_sq_ema": x}, target)
        return {"target": target, "state": {"step": steps, "param_states": moments}}

    state = {
        "step": 5000,
        "g_optimizer": optimizer(jax.tree.map(lambda x: -x, trees["params"]), 5000),
        "d_optimizer": optimizer(trees["d"], 10_000),
        "generator_state": {"batch_stats": trees["batch_stats"]},
        "discriminator_state": {"spectral_norm_stats": unflatten_dict(d["spectral"], sep="/")},
        "ema_params": trees["params"],
    }
    path.write_bytes(flax.serialization.msgpack_serialize(state))
    return d_vars


def test_a_checkpoint_and_its_bert_become_a_run(encoder, tmp_path, capsys):
    folder, module, variables = encoder
    g = Generator(channels=2, image_size=128, noise_dim=4, **RELEASED)
    captions = WordPieceTokenizer.from_file(folder, LENGTH).encode(CAPTIONS)
    text = jax.jit(module.apply)(variables, *captions)
    g_vars = random_like(
        lambda key: g.init(key, noise_of(g), *(x[:1] for x in text), train=False), KEY
    )
    image = g_vars["params"]["image"]  # so large that most pixels are 0 or 255
    g_vars["params"]["image"] = jax.tree.map(lambda x: x / 20, image)
    path, run = tmp_path / "ckpt-2.flax", tmp_path / "run"
    d_vars = checkpoint(path, g, g_vars)
    argv = ["--system=xmc_gan", f"--generator={path}", f"--discriminator={path}"]
    argv += [f"--text_encoder={folder}", f"--tokenizer.length={LENGTH}"]
    argv += ["--encoder.fields.pooling=released"]
    other = f"--workdir={tmp_path / 'other'}"
    assert "'bert' is read by the tokenizer 'wordpiece'" in refused(
        [*argv, "--captions=x", other], capsys
    )

    import_weights.main([*argv, f"--workdir={run}"])
    printed = capsys.readouterr().out
    assert all(f"{size(tree):,} parameters" in printed for tree in (g_vars, d_vars, variables))
    assert "images   128 px" in printed and f"wordpiece: {len(PIECES)} ids" in printed
    sampler = Sampler.from_workdir(run, batch_size=2)
    made = applied(g, g_vars, noise(sampler), *text)
    assert levels(sampler.sample(CAPTIONS, seed=5), np.asarray(made.images[0])) <= 1
