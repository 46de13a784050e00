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

Beside these stand the terms of DR-GAN's two modules, for networks that have them
(`t2i_jax.recipes.distribution_terms`).
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from t2i_jax import types
from t2i_jax.choices import check_choice
from t2i_jax.losses.adversarial import bce_over_scales
from t2i_jax.losses.regularizers import color_consistency, gaussian_kl
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator
from t2i_jax.models.three_stage_discriminator import Features
from t2i_jax.recipes.distribution_terms import DistributionRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import Judgement, Net, Seen, Terms, Variables, accuracies, no_noise

_CHOICES = {"condition": ("sampled", "mean"), "color": ("paper", "released")}
_TEXT_TERMS = ("d.real", "d.wrong", "d.fake", "d.uncond_wrong", "g.fake", "g.kl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(DistributionRecipe):
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
        super().__post_init__()
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        unusable = [t for t in _TEXT_TERMS if self.on(t)] if not self.conditional else []
        if unusable:
            raise ValueError(
                f"generator.condition_dim=0 is an unconditional model, without the terms {unusable}"
                ": set their weights (loss.<player>.<term>) to 0"
            )
        if self.discriminator.dnm and not self.conditional:
            raise ValueError(
                "discriminator.dnm=True reads sentences, which an unconditional model does not have"
            )

    @property
    def conditional(self) -> bool:
        """Whether the model sees text."""
        return self.generator.condition_dim > 0

    @property
    def reads(self) -> str:
        """Sentences, where the model is conditional."""
        return "sentence" if self.conditional else "nothing"

    @property
    def wrong_pairs(self) -> str:
        """Images, where the model is conditional."""
        return "image" if self.conditional else ""

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of both players."""
        g_key, d_key = jax.random.split(key)
        noise = no_noise(self.noise_shapes)
        sentence = jnp.zeros((1, seen.text.sentence.shape[-1])) if self.conditional else None
        sizes = self.discriminator.image_sizes
        images = [jnp.zeros((1, size, size, 3)) for size in sizes]
        width = self.generator.condition_dim
        conditions = [jnp.zeros((1, width))] * len(sizes) if self.conditional else None
        return {
            "g": self.generator.init(g_key, noise, sentence, train=False),
            "d": self.discriminator.init(d_key, images, conditions, train=False, sentence=sentence),
        }

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images``; with text also ``conditions``, those of D for each image, and
        ``mu`` and ``logvar`` [B, condition_dim]; and ``disentangled``, what the weighted terms of
        the Semantic Disentangling Module compare. Conditions are drawn in evaluation mode too.
        """
        g = Net(self.generator, g_vars, train=train)
        real = self.real_images(seen) if train and self.disentangles else None
        made = g(noise, seen.text.sentence if self.conditional else None, real=real)
        out = {"images": made.images, "disentangled": made.disentangled}
        if self.conditional:
            means = (made.mu,) * len(made.images)
            conditions = means if self.condition == "mean" else made.conditions
            out |= {"conditions": conditions, "mu": made.mu, "logvar": made.logvar}
        return out, g.state

    def condition_of(self, seen: Seen, out: Mapping) -> tuple[jax.Array, ...] | None:
        """The condition of each scale, or None for an unconditional model."""
        return out.get("conditions")

    def judge(
        self, d: Net, features: tuple[Features, ...], condition, real: bool = True
    ) -> Judgement:
        """The heads of D on every scale."""
        fits, answers = d(features, condition, uncond=real, method="judge")
        return Judgement(fits, answers, features)

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """D's terms in the release's order (real, wrong, fake), which its running statistics
        follow. The batch's images are of the highest resolution, or pyramids.
        """
        d, losses, judged, again = self.critic(d_vars, key), {}, {}, {}
        for kind, fits_label, real_label in (
            ("real", 1.0, 1.0),
            ("wrong", 0.0, 1.0),
            ("fake", 0.0, 0.0),
        ):
            ask_fits, ask_real = self.on(f"d.{kind}"), self.on(f"d.uncond_{kind}")
            draw_again = self.reconstructs("d") and kind != "wrong"
            if not (ask_fits or ask_real or draw_again):
                continue
            if kind == "fake":
                images = out["images"]
            else:
                key_of = types.IMAGES if kind == "real" else types.WRONG_IMAGES
                images = self.real_images(seen, key_of)
            features = self.look(d, images)
            if draw_again:
                again[kind] = self.reconstruct(d, features, seen, key, call=len(again))
            condition = self.condition_of(seen, out) if ask_fits else None
            judged[kind] = self.judge(d, features, condition, ask_real)
            if ask_fits:
                losses[kind] = bce_over_scales(judged[kind].fits, fits_label)
            if ask_real:
                losses[f"uncond_{kind}"] = bce_over_scales(judged[kind].real, real_label)
        if again:
            images = {"real": self.real_images(seen), "fake": out["images"]}
            compared = {kind: augmented(self, d, x) for kind, x in images.items()}
            losses |= self.reconstruction_losses_of_d(compared, again)
        return Terms(losses, accuracies(judged), d.state, judged.get("fake"))

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms; D's running statistics move, as in the release."""
        d, losses = self.critic(d_vars, key), {}
        features = None if fakes is None else fakes.extra
        if self.reconstructs("g"):
            features = features or self.look(d, out["images"])
            losses |= self.reconstruction_losses_of_g(d, features, seen, key)
        ask_fits, ask_real = self.on("g.fake"), self.on("g.uncond_fake")
        if ask_fits or ask_real:
            if fakes is None or not fakes.answers(ask_fits, ask_real):
                features = features or self.look(d, out["images"])
                condition = self.condition_of(seen, out) if ask_fits else None
                fakes = self.judge(d, features, condition, ask_real)
            if ask_fits:
                losses["fake"] = bce_over_scales(fakes.fits, 1.0)
            if ask_real:
                losses["uncond_fake"] = bce_over_scales(fakes.real, 1.0)
        if self.on("g.kl"):
            losses["kl"] = gaussian_kl(out["mu"], out["logvar"])
        if self.on("g.color"):
            losses["color"] = color_consistency(out["images"], self.color)
        return Terms(losses | self.stage_losses(seen, out), state=d.state)
