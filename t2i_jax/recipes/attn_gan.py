"""The objective of AttnGAN, which DM-GAN and DR-GAN extend.

Xu et al., "AttnGAN" (CVPR 2018, arXiv 1711.10485), section 3, equations 3-6. Every adversarial term
is the mean over the batch, summed over the scales; x: real, s: fake, e: the sentence vector.

D's terms                            G's terms, against the updated D
    real         bce(Dc(x, e), 1)        fake         bce(Dc(s, e), 1)
    fake         bce(Dc(s, e), 0)        uncond_fake  bce(Du(s), 1)
    wrong        bce(Dc(x, e'), 0)       kl           of the conditioning augmentation
    uncond_real  bce(Du(x), 1)           damsm_words, damsm_sentence: see
    uncond_fake  bce(Du(s), 0)           `t2i_jax.recipes.damsm_terms`

Weights of the paper: 1/2 for each adversarial term but "wrong", which it does not have; lambda for
the two of DAMSM. Those of the release: D's real ones 1/2 and its other three 1/3; G's 1. The kl, of
weight 1 and a mean over the condition's numbers, is the release's too.

Beside these stand the terms of DR-GAN's two modules, for networks that have them
(`t2i_jax.recipes.distribution_terms`).
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.losses.adversarial import bce_over_scales
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.attn_gan import Discriminator, Generator
from t2i_jax.recipes.distribution_terms import DistributionRecipe
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
    shifted_pairs,
)

_MISMATCHES = ("shift", "caption")
_ADVERSARIAL = {"real": (1.0, 1.0), "fake": (0.0, 0.0), "wrong": (0.0, None)}  # (fits, real)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(DistributionRecipe):
    """Equations of AttnGAN.

    discriminator: without ``image_sizes`` it takes the generator's.
    mismatch: the pair of "wrong". "shift": each real image of the global batch but the last, with
        the caption of the next, whatever its class (release). "caption": a caption of another class
        from the data (``data.mismatch=caption``).
    """

    reads = "words"

    generator: Generator
    discriminator: Discriminator
    mismatch: str = "shift"

    def __post_init__(self):
        super().__post_init__()
        check_choice("mismatch", self.mismatch, _MISMATCHES)

    @property
    def wrong_pairs(self) -> str:
        """By its field mismatch."""
        return brought_pairs(self.mismatch)

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of both players."""
        g_key, d_key = jax.random.split(key)
        noise = no_noise(self.noise_shapes)
        sentence, words, mask = (x[:1] for x in seen.text)
        images = [jnp.zeros((1, size, size, 3)) for size in self.generator.image_sizes]
        return {
            "g": self.generator.init(g_key, noise, sentence, words, mask, train=False),
            "d": self.discriminator.init(d_key, images, sentence, train=False),
        }

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images``, ``mu`` and ``logvar`` [B, condition_dim], ``attention`` (a map
        [B, H, W, T] for every stage but the first) and ``disentangled``, what the terms of the
        Semantic Disentangling Module compare, if they have weights.
        """
        g = Net(self.generator, g_vars, train=train)
        real = self.real_images(seen) if train and self.disentangles else None
        made = g(noise, *seen.text, real=real)
        return made._asdict(), g.state

    def judge(self, d: Net, features, condition, real: bool = True) -> Judgement:
        """Both heads of D on every scale; `condition` is the sentence."""
        fits, answers = d(features, condition, method="judge")
        return Judgement(fits, answers if real else (), features)

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """D's terms in the release's order of passes, which its running statistics follow: the
        trunks over real and fake images, then the heads over real, fake and wrong pairs.
        """
        d, sentence = self.critic(d_vars, key), self.condition_of(seen, out)
        images = {"real": self.real_images(seen), "fake": out["images"]}
        asked = [k for k in images if self.on(f"d.{k}") or self.on(f"d.uncond_{k}")]
        features, again = {}, {}
        for i, kind in enumerate(images):
            of_wrong = kind == "real" and self.on("d.wrong")
            if not (kind in asked or of_wrong or self.reconstructs("d")):
                continue
            features[kind] = self.look(d, images[kind])
            if self.reconstructs("d"):
                again[kind] = self.reconstruct(d, features[kind], seen, key, call=i)
        judged = {kind: self.judge(d, features[kind], sentence) for kind in asked}
        if self.on("d.wrong"):
            judged["wrong"] = self._wrong(d, features["real"], seen, sentence)
        losses = {}
        for kind, (fits, real) in _ADVERSARIAL.items():
            if self.on(f"d.{kind}"):
                losses[kind] = bce_over_scales(judged[kind].fits, fits)
            if self.on(f"d.uncond_{kind}"):
                losses[f"uncond_{kind}"] = bce_over_scales(judged[kind].real, real)
        if again:
            compared = {kind: augmented(self, d, x) for kind, x in images.items()}
            losses |= self.reconstruction_losses_of_d(compared, again)
        return Terms(losses, accuracies(judged), d.state, judged.get("fake"))

    def _wrong(self, d: Net, features, seen: Seen, sentence: jax.Array) -> Judgement:
        """Of real images, of which it has the features, with captions that do not fit."""
        if self.mismatch == "caption":
            return self.judge(d, features, seen.wrong_sentence, real=False)
        pairs = shifted_pairs(features, sentence, self.axis_name)
        return self.judge(d.on_all_rows(), *pairs, real=False)

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms; D's running statistics move, as in the release."""
        d, losses = self.critic(d_vars, key), {}
        features = None if fakes is None else fakes.extra
        if self.reconstructs("g"):
            features = features or self.look(d, out["images"])
            losses |= self.reconstruction_losses_of_g(d, features, seen, key)
            if self.discriminator.dnm_form == "released":
                features = None  # the release looks at the fakes again for the other terms
        if self.on("g.fake") or self.on("g.uncond_fake"):
            if fakes is None:
                features = features or self.look(d, out["images"])
                fakes = self.judge(d, features, self.condition_of(seen, out))
            if self.on("g.fake"):
                losses["fake"] = bce_over_scales(fakes.fits, 1.0)
            if self.on("g.uncond_fake"):
                losses["uncond_fake"] = bce_over_scales(fakes.real, 1.0)
        if self.on("g.kl"):
            losses["kl"] = gaussian_kl(out["mu"], out["logvar"])
        losses |= self.stage_losses(seen, out)
        return Terms(losses, state=d.state)
