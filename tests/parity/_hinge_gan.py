"""What the parity cases of DF-GAN and RAT-GAN share: hinge losses, MA-GP, iterations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity._compare import close, nhwc
from t2i_jax.losses.adversarial import hinge_fake, hinge_generator, hinge_real
from t2i_jax.losses.gradient_penalties import matching_aware

LOGITS = ("logit_real", "logit_mismatch", "logit_fake")


class Game:
    """Two networks with the inputs of a golden file, and the programs that all checks share:
    compiling dominates the time.

    mismatch: (features, sentences) -> those of the mismatched pairs.
    """

    def __init__(self, golden, generator, discriminator, mismatch):
        self.golden, self.mismatch = golden, mismatch
        self.generator, self.g = generator
        self.discriminator, self.d = discriminator
        self.real = nhwc(golden["in/real_u8"]).astype(np.float32) / 127.5 - 1
        self.sentence = golden["in/sent"]
        self.generate = jax.jit(self._generate)
        self.judge = jax.jit(self._judge)
        self.hinges = jax.jit(jax.value_and_grad(self._hinges, has_aux=True))
        self.penalty = jax.jit(jax.value_and_grad(self._penalty))
        self.deceive = jax.jit(jax.value_and_grad(self._deceive))

    def _generate(self, g_vars, z):
        (image,) = self.generator.apply(g_vars, {"z": z}, self.sentence, train=True)
        return image

    def _judge(self, d_vars, images, sentence):
        return self.discriminator.apply(d_vars, images, sentence, train=True)

    def _hinges(self, d_vars, fake):
        """L_D without the penalty; its parts, the logits that they come from, the features."""
        d = self.discriminator
        features = d.apply(d_vars, self.real, train=True, method="features")
        fits, _ = d.apply(d_vars, features, self.sentence, train=True, method="judge")
        pairs = self.mismatch(features, self.sentence)
        wrong, _ = d.apply(d_vars, *pairs, train=True, method="judge")
        fakes, _ = self._judge(d_vars, fake, self.sentence)
        losses = {
            "real": jnp.mean(hinge_real(fits)),
            "fake": jnp.mean(hinge_fake(fakes)),
            "mis": jnp.mean(hinge_fake(wrong)),
        }
        total = losses["real"] + (losses["fake"] + losses["mis"]) / 2
        return total, (losses, (fits, wrong, fakes), features)

    def _penalty(self, d_vars):
        return matching_aware(
            lambda x, s: self._judge(d_vars, x, s)[0], self.real, self.sentence, form="released"
        )

    def _deceive(self, g_vars, d_vars, z):
        logits, _ = self._judge(d_vars, self._generate(g_vars, z), self.sentence)
        return jnp.mean(hinge_generator(logits))

    def train(self, separate_penalty):
        """Three iterations: losses by name of each, and both networks' variables after them.

        separate_penalty: as an update of D of its own, under the D that the hinges have updated.
        """
        adam = {"g": optax.adam(1e-4, 0.0, 0.9, 1e-8), "d": optax.adam(4e-4, 0.0, 0.9, 1e-8)}
        variables = {"g": self.g, "d": self.d}
        states = {player: adam[player].init(variables[player]) for player in adam}

        def apply(player, grads, state, variables):
            changes, state = adam[player].update(grads, state)
            return optax.apply_updates(variables, changes), state

        apply = jax.jit(apply, static_argnums=0)

        def update(player, grads):
            moved = apply(player, grads, states[player], variables[player])
            variables[player], states[player] = moved

        history = []
        for z in map(jnp.asarray, self.golden["train/noise"]):
            fake = self.generate(variables["g"], z)
            (total, (losses, *_)), grads = self.hinges(variables["d"], fake)
            if separate_penalty:
                update("d", grads)
            penalty, steep = self.penalty(variables["d"])
            update("d", steep if separate_penalty else jax.tree.map(jnp.add, grads, steep))
            deceit, grads = self.deceive(variables["g"], variables["d"], z)
            update("g", grads)
            history.append({**losses, "D": total, "gp": penalty, "G": deceit})
        return history, variables


def check_discriminator(game, prefix, order, d_arrays, penalty_in_loss=False):
    """Losses, logits, features and gradients at the initial parameters, under ``<prefix>/``.

    order: names of the losses as the file has them. d_arrays: variables of D -> arrays by the
    file's names. penalty_in_loss: whether the file's L_D has the penalty in it.

    Returns the slopes of the logits in the images, [B, H, W, 3], and the gradient of L_G.
    """
    golden = game.golden
    z = golden["in/noise"]
    (total, (losses, logits, features)), grads = game.hinges(game.d, game.generate(game.g, z))
    penalty, steep = game.penalty(game.d)
    deceit, g_grads = game.deceive(game.g, game.d, z)
    if penalty_in_loss:
        total, grads = total + penalty, jax.tree.map(jnp.add, grads, steep)

    losses = losses | {"D": total, "gp": penalty, "G": deceit}
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
    """Losses of three iterations, and both networks after them."""
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
