"""The objective of StackGAN-v1, Stage I: a GAN with mismatched pairs and conditioning augmentation.

Zhang et al., "StackGAN" (arXiv 1612.03242), section 3.3, equations 3-4. Means over the batch; x:
real, s: fake, t: what D sees of the text.

D's terms                          G's terms, against the updated D
    real         bce(D(x, t), 1)       fake         bce(D(s, t), 1)
    wrong        bce(D(x, t'), 0)      uncond_fake  bce(Du(s), 1)
    fake         bce(D(s, t), 0)       kl           of the conditioning augmentation
    uncond_real  bce(Du(x), 1)
    uncond_fake  bce(Du(s), 0)

Weights of D in both stages: real 1, wrong and fake 0.5. The unconditional terms are the PyTorch
release's, in Stage II alone: real and uncond_real 1/2, the other three 1/3.

kl is the mean over the batch and the dimensions, with the weight 2, as in both of the authors'
releases.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax import types
from t2i_jax.choices import check_choice
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.images import pyramid
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import (
    Judgement,
    Net,
    Seen,
    Terms,
    Variables,
    accuracies,
    brought_pairs,
    no_noise,
    shifted_pairs,
)

_MISMATCHES = ("text", "image", "shift")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(GanRecipe):
    """Equations of Stage I.

    discriminator: with ``text_dim`` > 0 (paper) it sees the sentence; with 0 (PyTorch release) mu
        of the generator, as a constant in both players' terms.
    mismatch: the pair of "wrong". "text": real image, sentence of another class (paper); needs
        ``text_dim`` > 0. "image": image of another class (TensorFlow release). "shift": each real
        image of the global batch but the last, with the text of the next, whatever its class
        (PyTorch release).
    """

    generator: Generator
    discriminator: Discriminator
    mismatch: str = "text"

    def __post_init__(self):
        super().__post_init__()
        check_choice("mismatch", self.mismatch, _MISMATCHES)
        d = self.discriminator
        if self.mismatch == "text" and self.on("d.wrong") and not d.text_dim:
            raise ValueError(
                "mismatch='text' needs discriminator.text_dim > 0: with 0 D sees the generator's "
                "mu, which other sentences have none of; use mismatch='shift' or 'image'"
            )
        if d.image_size != self.generator.image_size:
            raise ValueError(
                f"discriminator.image_size={d.image_size}, but the generator makes "
                f"{self.generator.image_size} px"
            )
        asked = [t for t in ("d.uncond_real", "d.uncond_fake", "g.uncond_fake") if self.on(t)]
        if asked and not d.unconditional:
            raise ValueError(f"the terms {asked} need discriminator.unconditional=True")

    @property
    def wrong_pairs(self) -> str:
        """By its field mismatch."""
        return brought_pairs(self.mismatch)

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of both players."""
        g_key, d_key = jax.random.split(key)
        noise = no_noise(self.noise_shapes)
        sentence = jnp.zeros((1, seen.text.sentence.shape[-1]))
        size = self.discriminator.image_size
        width = sentence.shape[-1] if self.discriminator.text_dim else self.generator.condition_dim
        images, condition = jnp.zeros((1, size, size, 3)), jnp.zeros((1, width))
        return {
            "g": self._init_generator(g_key, noise, sentence, seen),
            "d": self.discriminator.init(d_key, images, condition, train=False),
        }

    def _init_generator(self, key, noise, sentence, seen: Seen) -> Variables:
        return self.generator.init(key, noise, sentence, train=False)

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images`` and ``mu``, ``logvar`` [B, condition_dim]. Conditions are drawn
        in evaluation mode too.
        """
        g = Net(self.generator, g_vars, train=train)
        made = g(noise, seen.text.sentence)
        return {"images": made.images, "mu": made.mu, "logvar": made.logvar}, g.state

    def condition_of(self, seen: Seen, out: Mapping) -> jax.Array:
        """What D sees of each row's text: its sentence, or G's mu as a constant."""
        text_dim = self.discriminator.text_dim
        return seen.text.sentence if text_dim else lax.stop_gradient(out["mu"])

    def real_images(self, seen: Seen, key: str = types.IMAGES) -> tuple[jax.Array, ...]:
        """Images of the batch, reduced to D's size where they are larger."""
        return pyramid(seen.of(key), (self.discriminator.image_size,))

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> jax.Array:
        """The trunk of D over the largest image."""
        return d(images[-1], method="features")

    def judge(
        self, d: Net, features: jax.Array, condition: jax.Array | None, real: bool = True
    ) -> Judgement:
        """The heads of D."""
        fits = () if condition is None else (d(features, condition, method="fits"),)
        real = real and self.discriminator.unconditional
        return Judgement(fits, (d(features, method="real"),) if real else ())

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """D's terms, in the release's order of passes, which its running statistics follow: the
        trunk over real, then fake images; the heads over real, wrong, fake.
        """
        d, condition, judged = self.critic(d_vars, key), self.condition_of(seen, out), {}
        ask = {
            t: self.on(f"d.{t}") for t in ("real", "wrong", "fake", "uncond_real", "uncond_fake")
        }
        real = fake = None
        if ask["real"] or ask["uncond_real"] or (ask["wrong"] and self.mismatch != "image"):
            real = self.look(d, self.real_images(seen))
        if ask["fake"] or ask["uncond_fake"]:
            fake = self.look(d, out["images"])
        if ask["real"] or ask["uncond_real"]:
            seen_text = condition if ask["real"] else None
            judged["real"] = self.judge(d, real, seen_text, ask["uncond_real"])
        if ask["wrong"]:
            judged["wrong"] = self._wrong(d, seen, real, condition)
        if ask["fake"] or ask["uncond_fake"]:
            seen_text = condition if ask["fake"] else None
            judged["fake"] = self.judge(d, fake, seen_text, ask["uncond_fake"])
        losses = {}
        for kind, judgement in judged.items():
            label = 1.0 if kind == "real" else 0.0
            if judgement.fits:
                losses[kind] = jnp.mean(bce(judgement.fits[0], label))
            if judgement.real:
                losses[f"uncond_{kind}"] = jnp.mean(bce(judgement.real[0], label))
        return Terms(losses, accuracies(judged), d.state, judged.get("fake"))

    def _wrong(self, d: Net, seen: Seen, real: jax.Array, condition: jax.Array) -> Judgement:
        """Of the pairs that do not fit; `real` are the features of the real images."""
        if self.mismatch == "image":
            features = self.look(d, self.real_images(seen, types.WRONG_IMAGES))
            return self.judge(d, features, condition, real=False)
        if self.mismatch == "text":
            return self.judge(d, real, seen.wrong_sentence, real=False)
        pairs = shifted_pairs(real, condition, self.axis_name)
        return self.judge(d.on_all_rows(), *pairs, real=False)

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms; D's running statistics move, as in the release."""
        d, losses = self.critic(d_vars, key), {}
        ask_fits, ask_real = self.on("g.fake"), self.on("g.uncond_fake")
        if ask_fits or ask_real:
            condition = self.condition_of(seen, out) if ask_fits else None
            if fakes is None or not fakes.answers(ask_fits, ask_real):
                fakes = self.judge(d, self.look(d, out["images"]), condition, ask_real)
            if ask_fits:
                losses["fake"] = jnp.mean(bce(fakes.fits[0], 1.0))
            if ask_real:
                losses["uncond_fake"] = jnp.mean(bce(fakes.real[0], 1.0))
        if self.on("g.kl"):
            losses["kl"] = gaussian_kl(out["mu"], out["logvar"])
        return Terms(losses, state=d.state)
