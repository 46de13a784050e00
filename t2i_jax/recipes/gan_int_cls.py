"""The objective of GAN, GAN-CLS, GAN-INT and GAN-INT-CLS.

Reed et al., "Generative Adversarial Text to Image Synthesis", ICML 2016: Algorithm 1
(matching-aware discriminator) and equation 5 (manifold interpolation). The four models differ in
weights only:

    model         d.real  d.wrong  d.fake  g.fake  g.interp
    GAN           1       0        1       1       0
    GAN-CLS       1       0.5      0.5     1       0
    GAN-INT       1       0        1       1       1
    GAN-INT-CLS   1       0.5      0.5     1       1

D's terms, each the mean over the batch, on separate batch statistics as in the release:

    real   bce(D(x, t), 1)
    wrong  bce(D(x, t'), 0) or bce(D(x', t), 0)     t', x': of another class
    fake   bce(D(G(z, t), t), 0)

G's terms, against the updated D:

    fake    bce(D(G(z, t), t), 1)
    interp  bce(D(G(z', m), m), 1)                  m: sentences between two of the batch
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from t2i_jax import axis, types
from t2i_jax.choices import check_choice
from t2i_jax.losses.adversarial import bce
from t2i_jax.models.gan_int_cls import Discriminator, Generator
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import (
    Judgement,
    Net,
    Seen,
    Terms,
    Variables,
    accuracies,
    brought_pairs,
    no_noise,
)

_CHOICES = {
    "form": ("paper", "released"),
    "mismatch": ("text", "image"),
    "interp": ("midpoint", "extrapolate"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(GanRecipe):
    """Equations of the four models.

    form: "paper" generates once for both players, and interpolated sentences in a pass of their own
        whose term is added. "released" is the authors' code: D sees fakes of its own noise, and
        real and interpolated sentences share one pass of G and D, batch statistics included, and
        one mean over all of their rows. Without interpolation the release's COCO script.
    mismatch: the pair that D should reject as unfitting. "text": real image, sentence of another
        class (paper); the image half of D runs once for both real-image terms. "image": image of
        another class, right sentence (release).
    interp: where between two sentences. "midpoint": halfway. "extrapolate": the release's
        ``interp_type`` 2, a uniform mixing weight in [-0.5, 1.5).
    """

    generator: Generator
    discriminator: Discriminator
    form: str = "paper"
    mismatch: str = "text"
    interp: str = "midpoint"

    def __post_init__(self):
        super().__post_init__()
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        check_choice("generator.noise", self.noise_distribution, axis.NOISE_VARIANCE)

    @property
    def wrong_pairs(self) -> str:
        """By its field mismatch."""
        return brought_pairs(self.mismatch)

    @property
    def noise_distribution(self) -> str:
        """What the generator is trained with and sampled from."""
        return self.generator.noise

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of both players; reads shapes only."""
        g_key, d_key = jax.random.split(key)
        images = jnp.zeros((1, *seen.batch[types.IMAGES].shape[1:]))
        sentence = jnp.zeros((1, seen.text.sentence.shape[-1]))
        noise = no_noise(self.noise_shapes)
        return {
            "g": self.generator.init(g_key, noise, sentence, train=False),
            "d": self.discriminator.init(d_key, images, sentence, train=False),
        }

    def noise(self, key: jax.Array, rows: int) -> dict[str, jax.Array]:
        """``z`` [rows, noise_dim]; with interpolation ``z_interp`` [rows / 2, noise_dim] and, to
        extrapolate, ``alpha`` [rows / 2] in [-1, 1); in the released form ``z_d`` like ``z``.

        Raises ValueError where interpolation meets an odd number of rows on a device.
        """
        keys = jax.random.split(key, 4)

        def draw(key, rows):
            shape = (rows, self.generator.noise_dim)
            return axis.noise(self.noise_distribution, key, shape, self.axis_name)

        noise = {"z": draw(keys[0], rows)}
        if self.form == "released":
            noise["z_d"] = draw(keys[1], rows)
        if self.on("g.interp"):
            if rows % 2:
                raise ValueError(
                    f"interpolation pairs sentences, but a device's batch has {rows} rows: "
                    "choose a batch size that leaves every device an even number"
                )
            noise["z_interp"] = draw(keys[2], rows // 2)
            if self.interp == "extrapolate":
                noise["alpha"] = axis.uniform(keys[3], (rows // 2,), self.axis_name, -1.0, 1.0)
        return noise

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """Images of G, and its new state.

        ``out`` holds ``images`` (a tuple of one [B, H, W, 3]); in training with interpolation also
        ``interp_images`` [B / 2, H, W, 3] and their ``interp_sentence`` [B / 2, E]; in the released
        form ``d_images``, the fakes that D is trained on.
        """
        sentence, out = seen.text.sentence, {}
        g = Net(self.generator, g_vars, train=train)
        if not train:
            return {"images": g(noise, sentence)}, {}
        if self.form == "released":
            # No gradient reaches this pass: it only feeds D and moves the running statistics.
            constants = jax.lax.stop_gradient((g_vars, {"z": noise["z_d"]}, sentence))
            first = Net(self.generator, constants[0])
            (out["d_images"],) = first(*constants[1:])
            g.state = first.state
        if not self.on("g.interp"):
            out["images"] = g(noise, sentence)
            return out, g.state

        between = self.interpolate(sentence, noise.get("alpha"))
        out["interp_sentence"] = between
        if self.form == "released":
            z = jnp.concatenate([noise["z"], noise["z_interp"]])
            (images,) = g({"z": z}, jnp.concatenate([sentence, between]))
            rows = sentence.shape[0]
            out["images"], out["interp_images"] = (images[:rows],), images[rows:]
        else:
            out["images"] = g(noise, sentence)
            (out["interp_images"],) = g({"z": noise["z_interp"]}, between)
        return out, g.state

    def interpolate(self, sentence: jax.Array, alpha: jax.Array | None = None) -> jax.Array:
        """Sentences between rows i and i + B/2 of the global batch: [B, E] -> [B / 2, E].

        Halfway, plus `alpha` [B / 2] times their difference. The batch's order is random, so the
        pairs are.
        """
        first, second = jnp.split(axis.gather(sentence, self.axis_name), 2)
        middle = axis.local(0.5 * (first + second), self.axis_name)
        if alpha is None:
            return middle
        return middle + alpha[:, None] * axis.local(second - first, self.axis_name)

    def fakes_for_d(self, out: Mapping[str, jax.Array]) -> tuple[jax.Array, ...]:
        """In the released form those of their own noise."""
        return (out["d_images"],) if self.form == "released" else out["images"]

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> jax.Array:
        """The image half of D."""
        return d(images[-1], method="features")

    def judge(
        self, d: Net, features: jax.Array, condition: jax.Array, real: bool = True
    ) -> Judgement:
        """The half of D that compares features with sentences."""
        return Judgement(fits=(d(features, condition, method="head"),))

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """D's terms in the release's order (real, wrong, fake), which its running statistics
        follow.
        """
        d, losses, judged = self.critic(d_vars, key), {}, {}
        condition = self.condition_of(seen, out)
        wrong_text = self.mismatch == "text" and self.on("d.wrong")
        if self.on("d.real") or wrong_text:
            features = self.look(d, self.real_images(seen))
        if self.on("d.real"):
            judged["real"] = self.judge(d, features, condition)
        if wrong_text:
            judged["wrong"] = self.judge(d, features, seen.wrong_sentence)
        elif self.on("d.wrong"):
            images = self.real_images(seen, types.WRONG_IMAGES)
            judged["wrong"] = self.discriminate(d, images, condition)
        if self.on("d.fake"):
            judged["fake"] = self.discriminate(d, self.fakes_for_d(out), condition)
        for kind, judgement in judged.items():
            losses[kind] = jnp.mean(bce(judgement.fits[0], 1.0 if kind == "real" else 0.0))
        shared = judged.get("fake") if self.form == "paper" else None
        return Terms(losses, accuracies(judged), d.state, shared)

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms; D's running statistics move, as in the release."""
        d, losses = self.critic(d_vars, key), {}
        if self.form == "released" and "interp_images" in out:
            return Terms(self._released_losses(d, seen, out), state=d.state)
        if self.on("g.fake"):
            fakes = fakes or self.discriminate(d, out["images"], self.condition_of(seen, out))
            losses["fake"] = jnp.mean(bce(fakes.fits[0], 1.0))
        if "interp_images" in out:
            between = self.discriminate(d, (out["interp_images"],), out["interp_sentence"])
            losses["interp"] = jnp.mean(bce(between.fits[0], 1.0))
        return Terms(losses, state=d.state)

    def _released_losses(self, d: Net, seen: Seen, out: dict) -> dict[str, jax.Array]:
        """One pass over all rows; both terms are divided by the number of all rows."""
        # Augmented apart: of all rows of the global batch, these are no consecutive ones.
        parts = [augmented(self, d, x)[0] for x in (out["images"], (out["interp_images"],))]
        features = self.features(d, (jnp.concatenate(parts),))
        sentences = jnp.concatenate([seen.text.sentence, out["interp_sentence"]])
        values = bce(self.judge(d, features, sentences).fits[0], 1.0)
        rows = seen.text.sentence.shape[0]
        losses = {"interp": jnp.sum(values[rows:]) / values.size}
        if self.on("g.fake"):
            losses["fake"] = jnp.sum(values[:rows]) / values.size
        return losses
