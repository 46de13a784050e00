"""The objective of StackGAN-v2.

Zhang et al., "StackGAN++" (arXiv 1710.10916), section 4: equations 3-5 (losses), 6-7 (joint
conditional and unconditional approximation), 8 (colour consistency). Every adversarial term is the
mean over the batch, summed over the scales i; x: real, w: of another class, s: fake, c: the
condition; D's passes over x, w and s are separate, batch statistics included.

D's terms                            G's terms, against the updated D
    real         bce(Dc(x, c), 1)        fake         bce(Dc(s, c), 1)
    wrong        bce(Dc(w, c), 0)        uncond_fake  bce(Du(s), 1)
    fake         bce(Dc(s, c), 0)        kl           of the conditioning augmentation
    uncond_real  bce(Du(x), 1)           color        colour consistency of the scales
    uncond_wrong bce(Du(w), 1)
    uncond_fake  bce(Du(s), 0)

Released weights of D: 1 each. Without the joint loss (weights ``uncond_*`` 0): real 1, wrong and
fake 0.5. An unconditional model has ``uncond_real``, ``uncond_fake`` and G's ``uncond_fake`` alone.
"wrong" and "uncond_wrong" are the release's; the formulas of the paper do without them.

kl is the authors' mean over the batch and the dimensions, whose weight 2 is 2 / condition_dim of
the divergence itself; the paper names no weight.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from t2i_jax import axis, types
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.regularizers import color_consistency, gaussian_kl
from t2i_jax.models.images import pyramid
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator
from t2i_jax.recipes.base import (
    Batch,
    GanRecipe,
    Terms,
    Variables,
    apply_train,
    with_state,
)
from t2i_jax.types import Text

_CHOICES = {"condition": ("sampled", "mean"), "color": ("paper", "released")}
_TEXT_TERMS = ("d.real", "d.wrong", "d.fake", "d.uncond_wrong", "g.fake", "g.kl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(GanRecipe):
    """Equations of StackGAN-v2, conditional and unconditional.

    discriminator: without ``image_sizes`` it takes the generator's.
    condition: what D's conditional heads see. "sampled": the c that G drew (paper). "mean": mu
        (release). Either way a constant for D, and differentiated in G's terms.
    color: form of the colour consistency, see `losses.regularizers.color_consistency`.
    """

    generator: Generator
    discriminator: Discriminator
    condition: str = "sampled"
    color: str = "paper"

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        sizes = self.generator.image_sizes
        if not self.discriminator.image_sizes:
            complete = self.discriminator.clone(image_sizes=sizes)
            object.__setattr__(self, "discriminator", complete)
        if self.discriminator.image_sizes != sizes:
            raise ValueError(
                f"discriminator.image_sizes={self.discriminator.image_sizes}, but the generator "
                f"makes {sizes}: leave the field () to follow the generator"
            )
        unusable = [t for t in _TEXT_TERMS if self.on(t)] if not self.conditional else []
        if unusable:
            raise ValueError(
                f"generator.condition_dim=0 is an unconditional model, without the terms {unusable}"
                ": set their weights (loss.<player>.<term>) to 0"
            )

    @property
    def conditional(self) -> bool:
        """Whether the model sees text."""
        return self.generator.condition_dim > 0

    @property
    def noise_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Noise of one sampled image."""
        return self.generator.noise_shapes

    def init(self, key: jax.Array, batch: Batch, text: Text | None) -> dict[str, Variables]:
        """Variables of both players; ValueError where a conditional model gets no text."""
        if self.conditional and text is None:
            raise ValueError(
                "generator.condition_dim > 0 needs captions: set encoder.name and data.captions, "
                "or generator.condition_dim=0 for an unconditional model"
            )
        g_key, d_key = jax.random.split(key)
        noise = {name: jnp.zeros((1, *shape)) for name, shape in self.noise_shapes.items()}
        sentence = jnp.zeros((1, text.sentence.shape[-1])) if self.conditional else None
        sizes = self.discriminator.image_sizes
        images = [jnp.zeros((1, size, size, 3)) for size in sizes]
        width = self.generator.condition_dim
        conditions = [jnp.zeros((1, width))] * len(sizes) if self.conditional else None
        return {
            "g": self.generator.init(g_key, noise, sentence, train=False),
            "d": self.discriminator.init(d_key, images, conditions, train=False),
        }

    def noise(self, key: jax.Array, rows: int) -> dict[str, jax.Array]:
        """Rows of every array of `noise_shapes`."""
        return {
            name: axis.normal(jax.random.fold_in(key, i), (rows, *shape), self.axis_name)
            for i, (name, shape) in enumerate(sorted(self.noise_shapes.items()))
        }

    def generate(
        self, g_vars: Variables, batch: Batch, text: Text | None, noise, train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images``; with text also ``conditions``, those of D for each image, and
        ``mu`` and ``logvar`` [B, condition_dim].
        """
        sentence = text.sentence if self.conditional else None
        if train:
            made, state = apply_train(self.generator, g_vars, noise, sentence)
        else:
            made, state = self.generator.apply(g_vars, noise, sentence, train=False), {}
        out = {"images": made.images}
        if self.conditional:
            means = (made.mu,) * len(made.images)
            conditions = means if self.condition == "mean" else made.conditions
            out |= {"conditions": conditions, "mu": made.mu, "logvar": made.logvar}
        return out, state

    def _judge(self, d_vars, state, images, out, fits: bool, real: bool):
        """Logits of all scales: (image fits condition, image is real), and D's new state."""
        conditions = out["conditions"] if fits else None
        return apply_train(
            self.discriminator, with_state(d_vars, state), images, conditions, uncond=real
        )

    def d_terms(
        self, d_vars: Variables, batch: Batch, text: Text | None, out: dict, key
    ) -> tuple[Terms, dict]:
        """D's terms in the release's order (real, wrong, fake), which its running statistics
        follow. The batch's images are of the highest resolution, or pyramids.
        """
        terms, state = {}, {}
        for kind, fits_label, real_label in (
            ("real", 1.0, 1.0),
            ("wrong", 0.0, 1.0),
            ("fake", 0.0, 0.0),
        ):
            ask_fits, ask_real = self.on(f"d.{kind}"), self.on(f"d.uncond_{kind}")
            if not (ask_fits or ask_real):
                continue
            if kind == "fake":
                images = out["images"]
            else:
                images = batch[types.IMAGES if kind == "real" else types.WRONG_IMAGES]
                images = pyramid(images, self.discriminator.image_sizes)
            (fits, real), state = self._judge(d_vars, state, images, out, ask_fits, ask_real)
            if ask_fits:
                terms[kind] = sum(bce(x, fits_label) for x in fits)
            if ask_real:
                terms[f"uncond_{kind}"] = sum(bce(x, real_label) for x in real)
        return terms, state

    def g_terms(
        self,
        d_vars: Variables,
        frozen: Mapping[str, Variables],
        batch: Batch,
        text: Text | None,
        out: dict,
        key,
    ) -> tuple[Terms, dict]:
        """G's terms; D's running statistics move, as in the release."""
        terms, state = {}, {}
        ask_fits, ask_real = self.on("g.fake"), self.on("g.uncond_fake")
        if ask_fits or ask_real:
            (fits, real), state = self._judge(d_vars, {}, out["images"], out, ask_fits, ask_real)
            if ask_fits:
                terms["fake"] = sum(bce(x, 1.0) for x in fits)
            if ask_real:
                terms["uncond_fake"] = sum(bce(x, 1.0) for x in real)
        if self.on("g.kl"):
            terms["kl"] = gaussian_kl(out["mu"], out["logvar"])
        if self.on("g.color"):
            terms["color"] = color_consistency(out["images"], self.color)
        return terms, state

    def sample(
        self, g_vars: Variables, text: Text | None, noise: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, ...]:
        """Images of every scale, from low to high resolution; always with sampled conditions."""
        sentence = text.sentence if self.conditional else None
        return self.generator.apply(g_vars, noise, sentence, train=False).images
