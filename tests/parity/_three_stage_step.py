"""The objectives of AttnGAN, DM-GAN and DR-GAN as their recipes compute them: the terms with the
weights of the ``_released`` configs, in one pass of both players.
"""

import functools
import pathlib
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp

from parity._compare import close
from parity._three_stage import SCALES, Case
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.encoders.damsm import ImageFeatures
from t2i_jax.recipes.distribution_terms import DistributionRecipe
from t2i_jax.recipes.terms import Seen, check_terms
from t2i_jax.training.modules import loss_weights

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"


class StandIn(nn.Module):
    """The file's image encoder: pixels that are 16 apart as regions, two matrices as weights."""

    @nn.compact
    def __call__(self, images, train):
        shapes = {"a": (8, 3), "b": (8, 8)}
        a, b = (self.param(name, nn.initializers.zeros, shape) for name, shape in shapes.items())
        grid = images[:, 8::16, 8::16]
        regions = jnp.einsum("ec,bhwc->bhwe", a, grid).reshape(len(images), -1, len(a))
        return ImageFeatures(regions, jnp.mean(regions, axis=1) @ b.T)


class Step:
    """Both players' objectives of one file."""

    def __init__(self, golden, release, recipe):
        self.golden, self.case = golden, Case(golden, release)
        system = recipe.__module__.rpartition(".")[2]
        config = configs.load(f"{CONFIGS / system}.py:cub_released")
        self.weights = loss_weights(config)
        self.recipe = recipe(
            generator=self.case.generator,
            discriminator=self.case.discriminator,
            damsm=StandIn(),
            active=frozenset(self.weights),
            **config.recipe,
        )
        frozen = {}
        batch = {types.IMAGES: self.case.real}
        if "in/stub_A" in golden:
            stub = {"a": golden["in/stub_A"], "b": golden["in/stub_B"]}
            frozen["damsm"] = {"params": stub}
            batch[types.LABEL] = golden["in/class_ids"]
        self.seen = Seen(batch, self.case.text, None, frozen)

    def total(self, player, terms):
        """The weighted sum, of the weighted terms and no others."""
        check_terms(player, terms.losses, self.recipe.active)
        return sum(self.weights[f"{player}.{name}"] * x for name, x in terms.losses.items())

    def run(self, of_g=True):
        """Everything in one compiled program."""
        case, recipe, seen = self.case, self.recipe, self.seen
        key = jax.random.key(0)

        @jax.jit
        def run(g, d):
            r = {}

            def generate(params):
                return recipe.generate({**g, "params": params}, seen, case.noise, train=True)

            out, pull, r["g_state"] = jax.vjp(generate, g["params"], has_aux=True)

            def d_loss(params):
                terms = recipe.d_terms({**d, "params": params}, seen, out, key)
                total = self.total("d", terms)
                return total, (total, {**d, "params": params, **terms.state})

            gradient = functools.partial(jax.grad, has_aux=True)
            if case.discriminator.norm == "spectral":
                r["d_grads"], r["d"] = case.grad_as_released(
                    d_loss, d["params"], lambda aux: aux[1]["spectral"]
                )
            else:
                r["d_grads"], r["d"] = gradient(d_loss)(d["params"])

            def g_loss(out):
                terms = recipe.g_update(d, seen, out, key)
                total = self.total("g", terms)
                return total, (total, terms.losses)

            if of_g:
                slopes, r["g"] = gradient(g_loss)(out)
                (r["g_grads"],) = pull(slopes)
            return r

        return run(case.g, case.d)


def check(golden, release, recipe, d_total="errD", noise=None, of_g=True):
    """D's total, gradients and statistics; with `of_g` also G's.

    d_total: name of D's loss of each scale. noise: what `dnm_noise` gives, call by call.
    """
    step = Step(golden, release, recipe)
    case = step.case
    with mock.patch.object(DistributionRecipe, "dnm_noise", side_effect=noise):
        r = step.run(of_g)
    total, variables = r["d"]
    close(total, sum(golden[f"D{i}_loss/{d_total}"] for i in range(SCALES)), "D's total")
    case.check_d(r["d_grads"], variables)
    if not of_g:
        return
    total, losses = r["g"]
    close(total, golden["G_loss/total"], "G's total")
    pairs = {"damsm_words": "w", "damsm_sentence": "s"}
    for name, prefix in pairs.items():
        close(losses[name], sum(golden[f"G_loss/{prefix}{i}"] for i in (0, 1)), name)
    exported = release.export_generator(case.generator, r["g_state"], counts=False)
    case.check_after(exported, "train/G_after")
    case.check_g_gradients(r["g_grads"], "G_grad")
