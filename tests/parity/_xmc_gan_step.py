"""A whole step of XMC-GAN in the authors' form, against a step of their trainer."""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity._compare import close, section
from parity._xmc_gan import (
    GRADIENTS,
    VALUES,
    all_close,
    discriminator,
    generator,
    image_network,
    text,
)
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.interop.xmc_gan import export_discriminator, export_generator
from t2i_jax.recipes.xmc_gan import Recipe
from t2i_jax.training import build
from t2i_jax.training.modules import loss_weights
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import make_step
from t2i_jax.types import Text

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "xmc_gan.py"


class Captions(nn.Module):
    """A text encoder whose captions have their number as the first token."""

    @nn.compact
    def __call__(self, tokens, mask):
        zeros = nn.initializers.zeros
        words = self.param("words", zeros, (4, tokens.shape[1], 32))
        return Text(self.param("sentence", zeros, (4, 32))[tokens[:, 0]], words[tokens[:, 0]], mask)


def _recorded(direction):
    """The direction, and in its state the last two gradients, the earlier first."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return direction.init(params), zeros, zeros

    def update(grads, state, params=None):
        inner, _, last = state
        found, inner = direction.update(grads, inner, params)
        return found, (inner, last, grads)

    return optax.GradientTransformation(init, update)


class WithNoise(Recipe):
    """Whose noise stands in the batch."""

    def generate(self, g_vars, seen, noise, train):
        return super().generate(g_vars, seen, {"z": seen.batch["z"]}, train)


def _step(golden):
    """(the step as a function of the weight of the image network, generator, discriminator)."""
    config = configs.load(f"{CONFIG}:coco_released")
    (g_module, g), (d_module, d) = generator(golden), discriminator(golden)
    network, network_vars = image_network(golden)
    recipe = WithNoise(
        generator=g_module,
        discriminator=d_module,
        image_network=network,
        active=frozenset(loss_weights(config)),
        **{**config.recipe, "group": 0},
    )
    texts = [text(golden, batch) for batch in ("in0", "in1")]
    sentence, words, mask = (np.stack(x) for x in zip(*texts, strict=True))
    tokens = np.zeros((2, 2, 1, words.shape[2]), np.int32)
    tokens[..., 0, 0] = [[0, 1], [2, 3]]
    batch = {
        types.IMAGES: np.stack([golden[f"{b}/image"] for b in ("in0", "in1")]) * 255,
        types.TOKENS: tokens,
        types.MASK: mask[:, :, None],
        "z": np.stack([golden[f"{b}/z"] for b in ("in0", "in1")]),
    }
    table = {"words": words.reshape(4, -1, 32), "sentence": sentence.reshape(4, 32)}
    frozen = {"encoder": {"params": table}, "image_network": network_vars}
    options = build.step_options(build.System(config, recipe, Captions(), None, {}), 2, 2)
    directions = {name: _recorded(x) for name, x in options.directions.items()}
    params = {"g": g.pop("params"), "d": d.pop("params")}
    stats = {"g": g, "d": d}
    opt = {name: directions[name].init({name: params[name]}) for name in params}
    state = TrainState(np.int32(0), params, stats, opt, options.ema.init(params, stats))

    @jax.jit
    def take(weight, *args):
        weights = {**options.weights, "g.image_network": weight}
        given = dataclasses.replace(options, directions=directions, weights=weights)
        return make_step(recipe, given)(*args)

    return lambda weight: take(weight, state, batch, frozen), g_module, d_module


def step(golden):
    """A step of two updates of D and one of G, without and with the network of images: losses, all
    gradients, and every state after it.
    """
    take, g_module, d_module = _step(golden)
    for file, weight in (("step_resnet", 1.0), ("step", 0.0)):
        state, metrics = take(weight)
        _check_metrics(golden, metrics, file)
        found = export_generator(g_module, {"params": state.opt["g"][2]["g"]})["params"]
        _check_gradients(golden, found, file, "g", "g_grad_norm", "g_grad")
    _, first, second = state.opt["d"]
    for grads, when in ((first, "first"), (second, "second")):
        found = export_discriminator(d_module, {"params": grads["d"]})["params"]
        _check_gradients(golden, found, "step", "d", f"d_grad_norm_{when}", f"d_grad_{when}")

    d_after = {"params": state.params["d"], **state.stats["d"]}
    g_after = {"params": state.params["g"], **state.stats["g"]}
    d_after, g_after = export_discriminator(d_module, d_after), export_generator(g_module, g_after)
    all_close(d_after["params"], section(golden, "step/d_params_second/"), "D's")
    all_close(d_after["spectral"], section(golden, "step/sn/"), "singular vector")
    all_close(g_after["params"], section(golden, "step/g_params/"), "G's")
    all_close(g_after["batch_stats"], section(golden, "step/batch_stats/"), "statistics")
    average = export_generator(g_module, {"params": state.ema["params"]["g"]})["params"]
    all_close(average, section(golden, "step/ema/"), "average")


def _check_metrics(golden, metrics, file):
    """Totals and contrasts of both players."""
    found = {
        "d_loss": metrics["d/total"],
        "g_loss": metrics["g/total"],
        "c_loss_d": metrics["d/sentence"] + metrics["d/word"],
        "c_loss_g": sum(metrics[f"g/{name}"] for name in ("sentence", "word", "image")),
    }
    if file == "step_resnet":
        found["c_loss_g_pretrained"] = metrics["g/image_network"]
    for name, value in found.items():
        tolerance = GRADIENTS if name == "g_loss" else VALUES
        close(value, golden[f"{file}/metric/{name}"], name, tolerance)


def _check_gradients(golden, found, file, player, norms, whole):
    names = [str(name) for name in golden[f"step/{player}_leaf_names"]]
    expected = dict(zip(names, golden[f"{file}/{norms}"], strict=True))
    for name, norm in expected.items():
        if not _nothing(name):
            close(np.linalg.norm(found[name]), norm, f"{norms} of {name}", GRADIENTS)
    all_close(found, section(golden, f"{file}/{whole}/"), whole, GRADIENTS)


def _nothing(name):
    """Whether a bias stands in front of a batch norm: 0 in exact arithmetic."""
    block, _, layer = name.partition("/")
    spatial = block.startswith("GenSpatialBlock") and layer.startswith("Conv_")
    return name.endswith("/bias") and (
        spatial or (block.startswith("GenBlock") and layer.startswith("Conv_0"))
    )
