"""What the parity cases of DF-GAN and RAT-GAN share: the terms of their recipes, with the weights
and optimizers of the ``_released`` configs, and whole iterations of the train step.
"""

import pathlib

import jax
import numpy as np

from parity._compare import close, nhwc
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import build
from t2i_jax.training.modules import loss_weights, recipe_module
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import make_step
from t2i_jax.types import Text

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
LOGITS = ("logit_real", "logit_mismatch", "logit_fake")
NAMES = {"mis": "d/wrong", "real": "d/real", "fake": "d/fake", "gp": "d/ma_gp", "G": "g/fake"}
KEY = jax.random.key(0)


class Game:
    """Two networks with the inputs of a golden file, and the programs that all checks share:
    compiling dominates the time.

    generator, discriminator: (module, variables). mismatch: (features, sentences) -> those of the
    mismatched pairs.
    """

    def __init__(self, golden, system, generator, discriminator, mismatch):
        self.golden, self.mismatch = golden, mismatch
        self.generator, self.g = generator
        self.discriminator, self.d = discriminator
        config = configs.load(f"{CONFIGS / system}.py:cub_released")

        class Recipe(recipe_module(system).Recipe):
            """Whose noise stands in the batch."""

            def generate(self, g_vars, seen, noise, train):
                return super().generate(g_vars, seen, {"z": seen.batch["z"]}, train)

        self.recipe = Recipe(
            generator=self.generator,
            discriminator=self.discriminator,
            active=frozenset(loss_weights(config)),
            **config.recipe,
        )
        rows = len(golden["in/sent"])
        system = build.System(config, self.recipe, None, None, {})
        self.options = build.step_options(system, rows, rows)
        self.step = make_step(self.recipe, self.options)
        self.batch = {types.IMAGES: nhwc(golden["in/real_u8"]), types.SENTENCE: golden["in/sent"]}
        self.real = nhwc(golden["in/real_u8"]).astype(np.float32) / 127.5 - 1
        self.sentence = golden["in/sent"]
        self.seen = Seen({types.IMAGES: self.real}, Text(self.sentence))
        self.generate = jax.jit(self._generate)
        self.judge = jax.jit(self._judge)
        self.look = jax.jit(self._look)
        self.update_of_d = jax.jit(jax.grad(self._loss_of_d, has_aux=True), static_argnums=2)
        self.deceive = jax.jit(jax.value_and_grad(self._deceive))

    def _generate(self, g_vars, z):
        (image,) = self.generator.apply(g_vars, {"z": z}, self.sentence, train=True)
        return image

    def _judge(self, d_vars, images, sentence):
        return self.discriminator.apply(d_vars, images, sentence, train=True)

    def _look(self, d_vars, fake):
        """Features of the real images; logits of real, mismatched and fake pairs."""
        features = self.discriminator.apply(d_vars, self.real, train=True, method="features")
        pairs = (features, self.sentence), self.mismatch(features, self.sentence)
        logits = [
            self.discriminator.apply(d_vars, *pair, train=True, method="judge")[0] for pair in pairs
        ]
        return features, [*logits, self._judge(d_vars, fake, self.sentence)[0]]

    def _loss_of_d(self, d_vars, fake, update):
        terms_of = getattr(self.recipe, update)
        out = {"images": (fake,)}
        total, terms = self.step.d_loss(d_vars["params"], {}, self.seen, out, KEY, terms_of)
        return total, {f"d/{k}": x for k, x in terms.losses.items()} | {"total": total}

    def _deceive(self, g_vars, d_vars, z):
        made = {"images": (self._generate(g_vars, z),)}, self.seen.text
        total, _ = self.step.g_loss(made, d_vars["params"], {}, self.seen, KEY)
        return total

    def train(self):
        """Three steps: metrics of each, and both networks' variables after them."""
        params = {"g": self.g["params"], "d": self.d["params"]}
        stats = {"g": {}, "d": {}}
        opt = {name: self.options.directions[name].init({name: params[name]}) for name in params}
        ema = self.options.ema.init(params, stats)
        state = TrainState(np.int32(0), params, stats, opt, ema)
        history, step = [], jax.jit(self.step)
        for z in self.golden["train/noise"]:
            batch = {**self.batch, "z": z}
            state, metrics = step(state, jax.tree.map(lambda x: x[None], batch), {})
            history.append(metrics)
        return history, {name: {"params": tree} for name, tree in state.params.items()}


def by_name(metrics, total):
    """Losses by the golden files' names. total: "D" of the file."""
    return {name: metrics[ours] for name, ours in NAMES.items()} | {"D": total}


def check_discriminator(game, prefix, order, d_arrays):
    """Losses, logits, features and gradients at the initial parameters, under ``<prefix>/``.

    order: names of the losses as the file has them. d_arrays: variables of D -> arrays by the
    file's names.

    Returns the slopes of the logits in the images, [B, H, W, 3], and the gradient of L_G.
    """
    golden = game.golden
    z = golden["in/noise"]
    fake = game.generate(game.g, z)
    features, logits = game.look(game.d, fake)
    grads, losses = game.update_of_d(game.d, fake, "d_update")
    steep, penalty = game.update_of_d(game.d, fake, "penalties")
    deceit, g_grads = game.deceive(game.g, game.d, z)

    losses = by_name(penalty | losses | {"g/fake": deceit}, losses["total"])
    for name, value in zip(order, golden[f"{prefix}/loss"], strict=True):
        close(losses[name], value, name, 1e-3 if name == "gp" else 1e-4, 1e-5)
    for name, found in zip(LOGITS, logits, strict=True):
        close(found, golden[f"{prefix}/{name}"].ravel(), name, floor=1e-5)
    close(features, nhwc(golden[f"{prefix}/feat_real"]), "features")

    of_image, of_sentence = jax.jit(
        jax.grad(lambda x, s: game.judge(game.d, x, s)[0].sum(), argnums=(0, 1))
    )(game.real, game.sentence)
    close(of_sentence, golden[f"{prefix}/gp_grad_sent"], "slope in the sentence", 1e-3)
    squares = np.sum(np.square(of_image), (1, 2, 3)) + np.sum(np.square(of_sentence), 1)
    close(np.sqrt(squares), golden[f"{prefix}/gp_norm"], "norm of the slope", 1e-3)

    names = golden[f"{prefix}/names"]
    for found, key in ((grads, "gradnorm_errD"), (steep, "gradnorm_gp")):
        check_norms(d_arrays(found), names, golden[f"{prefix}/{key}"], key)
    return of_image, g_grads


def check_norms(grads, names, expected, what):
    """L2 norms of gradients by name."""
    norms = np.array([np.linalg.norm(grads[name].ravel()) for name in names])
    close(norms, expected, what, 1e-3)


def check_iterations(game, order, history, variables, d_kernel):
    """Losses of three iterations, and both networks after them.

    history: losses by name, of each.
    """
    golden = game.golden
    image = game.generate(variables["g"], golden["in/noise"])
    real, fake = (game.judge(variables["d"], x, game.sentence)[0] for x in (game.real, image))
    found = np.array([[losses[name] for name in order] for losses in history])
    for kind in ("train", "train64"):
        close(found, golden[f"{kind}/loss"], f"{kind} losses", 2e-3)
        close(real, golden[f"{kind}/after_logit_real"].ravel(), "D(real) after", 2e-3)
        close(fake, golden[f"{kind}/after_logit_fake"].ravel(), "D(fake) after", 2e-3)
        close(np.mean(image, (1, 2)), golden[f"{kind}/after_fake_mean"], "fake after", 2e-3)
        close(d_kernel, golden[f"{kind}/after_D_conv_img_weight"], "D's kernel", 2e-3)
