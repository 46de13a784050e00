"""The objective that DF-GAN and RAT-GAN share: a matching-aware hinge loss with a penalty on D.

Tao et al., "DF-GAN" (arXiv 2008.05865), section 3.3; Ye et al., "RAT-GAN" (arXiv 2204.10482),
section 3.4. Means over the batch; x: real, s: fake, e: the sentence vector.

D's terms                              G's terms, against the updated D
    real         max(0, 1 - D(x, e))       fake         -D(s, e)
    wrong        max(0, 1 + D(x, e'))      uncond_fake  -Du(s)
    fake         max(0, 1 + D(s, e))
    uncond_real  max(0, 1 - Du(x))
    uncond_fake  max(0, 1 + Du(s))

Weights: real 1, wrong and fake 1/2, G's fake 1, and 1 for the matching-aware gradient penalty ma_gp
(`t2i_jax.recipes.regularizers`). The unconditional terms are those of the two-way output that
DF-GAN's ablation compares with; they need ``discriminator.two_way``.

An iteration of RAT-GAN and of DF-GAN of 2020 updates D twice with one optimizer: by the hinge
terms, then, under the D that these have updated, by the penalty (``penalty_update="own"``). DF-GAN
of 2022 takes both in one update.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.losses.adversarial import hinge_fake, hinge_generator, hinge_real
from t2i_jax.models.images import pyramid
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import (
    Judgement,
    Net,
    Seen,
    Terms,
    Variables,
    accuracies,
    brought_pairs,
    check_two_rows,
    no_noise,
    shifted_pairs,
)

_MISMATCHES = ("shift", "roll", "caption")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneStageRecipe(GanRecipe):
    """Equations of both systems; subclasses name their networks.

    mismatch: the pair of "wrong". "shift": each real image of the global batch but the last, with
        the sentence of the next, whatever its class (RAT-GAN; DF-GAN of 2020). "roll": each with
        the sentence before it, the first with the last (DF-GAN of 2022). "caption": a caption of
        another class from the data (``data.mismatch=caption``).
    """

    mismatch: str

    def __post_init__(self):
        super().__post_init__()
        check_choice("mismatch", self.mismatch, _MISMATCHES)
        sizes = [net.image_size for net in (self.generator, self.discriminator)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"discriminator.image_size={sizes[1]}, but the generator makes {sizes[0]} px"
            )
        asked = [t for t in ("d.uncond_real", "d.uncond_fake", "g.uncond_fake") if self.on(t)]
        if asked and not self.discriminator.two_way:
            raise ValueError(f"the terms {asked} need discriminator.two_way=True")

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
        images = jnp.zeros((1, size, size, 3))
        return {
            "g": self.generator.init(g_key, noise, sentence, train=False),
            "d": self.discriminator.init(d_key, images, sentence, train=False),
        }

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images``, a tuple of one [B, H, W, 3]."""
        g = Net(self.generator, g_vars, train=train)
        return {"images": g(noise, seen.text.sentence)}, g.state

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> jax.Array:
        """The image trunk of D, which sees no text; larger images are reduced to D's size."""
        (image,) = pyramid(images[-1], (self.discriminator.image_size,))
        return d(image, method="features")

    def judge(
        self, d: Net, features: jax.Array, condition: jax.Array | None, real: bool = True
    ) -> Judgement:
        """The heads of D; ``extra`` is where it looked for the text, [B, h, w], if it attends."""
        fits, found = d(features, condition, method="judge")
        answers = (found["real"],) if real and "real" in found else ()
        return Judgement(() if fits is None else (fits,), answers, found.get("attention"))

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """The hinge terms; D looks at the real images once for both of their pairs."""
        d, sentence, judged = self.critic(d_vars, key), self.condition_of(seen, out), {}
        ask_real = self.on("d.real") or self.on("d.uncond_real")
        if ask_real or self.on("d.wrong"):
            features = self.look(d, self.real_images(seen))
        if ask_real:
            judged["real"] = self.judge(d, features, sentence)
        if self.on("d.wrong"):
            judged["wrong"] = self._wrong(d, features, seen, sentence)
        if self.on("d.fake") or self.on("d.uncond_fake"):
            judged["fake"] = self.discriminate(d, out["images"], sentence)
        losses = {}
        for kind, judgement in judged.items():
            hinge = hinge_real if kind == "real" else hinge_fake
            if self.on(f"d.{kind}"):
                losses[kind] = jnp.mean(hinge(judgement.fits[0]))
            if self.on(f"d.uncond_{kind}"):
                losses[f"uncond_{kind}"] = jnp.mean(hinge(judgement.real[0]))
        return Terms(losses, accuracies(judged), d.state, judged.get("fake"))

    def _wrong(self, d: Net, features: jax.Array, seen: Seen, sentence: jax.Array) -> Judgement:
        """Of real images, of which it has the features, with sentences that do not fit."""
        if self.mismatch == "shift":
            pairs = shifted_pairs(features, sentence, self.axis_name)
            return self.judge(d.on_all_rows(), *pairs, real=False)
        if self.mismatch == "roll":
            check_two_rows(sentence, self.axis_name)
            sentence = axis.roll(sentence, 1, self.axis_name)
        else:
            sentence = seen.wrong_sentence
        return self.judge(d, features, sentence, real=False)

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms."""
        d, losses = self.critic(d_vars, key), {}
        if self.on("g.fake") or self.on("g.uncond_fake"):
            fakes = fakes or self.discriminate(d, out["images"], self.condition_of(seen, out))
        if self.on("g.fake"):
            losses["fake"] = jnp.mean(hinge_generator(fakes.fits[0]))
        if self.on("g.uncond_fake"):
            losses["uncond_fake"] = jnp.mean(hinge_generator(fakes.real[0]))
        return Terms(losses, state=d.state)
