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

from t2i_jax import axis, types
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.images import pyramid
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator
from t2i_jax.recipes.base import (
    Batch,
    GanRecipe,
    Terms,
    Variables,
    apply_train,
    with_state,
)
from t2i_jax.types import Text

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
        if self.mismatch not in _MISMATCHES:
            raise ValueError(f"mismatch must be one of {_MISMATCHES}, got {self.mismatch!r}")
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
    def noise_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Noise of one sampled image."""
        return self.generator.noise_shapes

    def init(self, key: jax.Array, batch: Batch, text: Text | None) -> dict[str, Variables]:
        """Variables of both players; ValueError without text."""
        if text is None:
            raise ValueError("StackGAN-v1 needs captions: set encoder.name and data.captions")
        g_key, d_key = jax.random.split(key)
        noise = {name: jnp.zeros((1, *shape)) for name, shape in self.noise_shapes.items()}
        sentence = jnp.zeros((1, text.sentence.shape[-1]))
        size = self.discriminator.image_size
        width = sentence.shape[-1] if self.discriminator.text_dim else self.generator.condition_dim
        images, condition = jnp.zeros((1, size, size, 3)), jnp.zeros((1, width))
        return {
            "g": self._init_generator(g_key, noise, sentence),
            "d": self.discriminator.init(d_key, images, condition, train=False),
        }

    def _init_generator(self, key, noise, sentence) -> Variables:
        return self.generator.init(key, noise, sentence, train=False)

    def noise(self, key: jax.Array, rows: int) -> dict[str, jax.Array]:
        """Rows of every array of `noise_shapes`."""
        return {
            name: axis.normal(jax.random.fold_in(key, i), (rows, *shape), self.axis_name)
            for i, (name, shape) in enumerate(sorted(self.noise_shapes.items()))
        }

    def generate(
        self, g_vars: Variables, batch: Batch, text: Text, noise, train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images`` and ``mu``, ``logvar`` [B, condition_dim]."""
        if train:
            made, state = apply_train(self.generator, g_vars, noise, text.sentence)
        else:
            made, state = self.generator.apply(g_vars, noise, text.sentence, train=False), {}
        return {"images": made.images, "mu": made.mu, "logvar": made.logvar}, state

    def _condition(self, text: Text, out: dict) -> jax.Array:
        """What D sees of each row's text."""
        return text.sentence if self.discriminator.text_dim else lax.stop_gradient(out["mu"])

    def d_terms(
        self, d_vars: Variables, batch: Batch, text: Text, out: dict, key
    ) -> tuple[Terms, dict]:
        """D's terms, in the release's order of passes, which its running statistics follow: the
        trunk over real, then fake images; the heads over real, wrong, fake.
        """
        terms, state = {}, {}

        def run(method, *args):
            nonlocal state
            variables = with_state(d_vars, state)
            result, state = apply_train(self.discriminator, variables, *args, method=method)
            return result

        size = (self.discriminator.image_size,)
        condition = self._condition(text, out)
        ask = {
            t: self.on(f"d.{t}") for t in ("real", "wrong", "fake", "uncond_real", "uncond_fake")
        }
        real = fake = None
        if ask["real"] or ask["uncond_real"] or (ask["wrong"] and self.mismatch != "image"):
            real = run("features", *pyramid(batch[types.IMAGES], size))
        if ask["fake"] or ask["uncond_fake"]:
            fake = run("features", out["images"][-1])
        if ask["real"]:
            terms["real"] = bce(run("fits", real, condition), 1.0)
        if ask["wrong"] and self.mismatch == "shift":
            logits, state = self._shifted(with_state(d_vars, state), real, condition)
            terms["wrong"] = bce(logits, 0.0)
        elif ask["wrong"] and self.mismatch == "text":
            terms["wrong"] = bce(run("fits", real, batch[types.WRONG_TEXT].sentence), 0.0)
        elif ask["wrong"]:
            wrong = run("features", *pyramid(batch[types.WRONG_IMAGES], size))
            terms["wrong"] = bce(run("fits", wrong, condition), 0.0)
        if ask["fake"]:
            terms["fake"] = bce(run("fits", fake, condition), 0.0)
        if ask["uncond_real"]:
            terms["uncond_real"] = bce(run("real", real), 1.0)
        if ask["uncond_fake"]:
            terms["uncond_fake"] = bce(run("real", fake), 0.0)
        return terms, state

    def _shifted(self, d_vars: Variables, features: jax.Array, condition: jax.Array):
        """Logits of the pairs of the global batch, one less than rows, and D's new state.

        Every device judges all of them: they do not divide evenly, and one head is cheap.
        """
        features = axis.gather(features, self.axis_name)[:-1]
        condition = axis.gather(condition, self.axis_name)[1:]
        head = self.discriminator.clone(axis_name=None)
        return apply_train(head, d_vars, features, condition, method="fits")

    def g_terms(
        self,
        d_vars: Variables,
        frozen: Mapping[str, Variables],
        batch: Batch,
        text: Text,
        out: dict,
        key,
    ) -> tuple[Terms, dict]:
        """G's terms; D's running statistics move, as in the release."""
        terms, state = {}, {}
        if self.on("g.fake") or self.on("g.uncond_fake"):
            d = self.discriminator
            features, state = apply_train(d, d_vars, out["images"][-1], method="features")
            if self.on("g.fake"):
                variables, condition = with_state(d_vars, state), self._condition(text, out)
                logits, state = apply_train(d, variables, features, condition, method="fits")
                terms["fake"] = bce(logits, 1.0)
            if self.on("g.uncond_fake"):
                variables = with_state(d_vars, state)
                logits, state = apply_train(d, variables, features, method="real")
                terms["uncond_fake"] = bce(logits, 1.0)
        if self.on("g.kl"):
            terms["kl"] = gaussian_kl(out["mu"], out["logvar"])
        return terms, state

    def sample(
        self, g_vars: Variables, text: Text, noise: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, ...]:
        """A tuple of one [N, H, W, 3]; conditions are sampled here too."""
        return self.generator.apply(g_vars, noise, text.sentence, train=False).images
