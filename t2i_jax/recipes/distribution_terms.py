"""The terms of DR-GAN's two modules, for any system whose networks have them.

Tan et al., "DR-GAN" (arXiv 2204.07945). The Semantic Disentangling Module (``generator.sdm``) gives
terms of G, the Distribution Normalization Module (``discriminator.dnm``) terms of both players.
x: real images, s: fakes; sums run over the stages or scales.

form "paper"
    sdl_image    softplus of distances of means and of variances of key and other features of the
                 stage's image from those of the real one
    sdl_context  the same of its word context
    rirm         |x - decoded features of x|, the mean of the differences
    dnm_real     |x - D's reconstruction of x|;  dnm_kl_real: its latent's divergence from N(0, I)
    dnm_fake     |s - D's reconstruction of s|;  dnm_kl_fake
    dnm_image    (G) |x - D's reconstruction of s|;  dnm_kl (G): the latent's divergence

form "released": ``sdl`` for the first two, 10.1 to the power of the sum of the stages' losses;
squares per pixel for rirm; norms over the whole batch for the reconstructions, which all have the
side of the lowest scale: real ones are compared with the lowest real image, fakes with themselves
reduced.

A recipe takes them over from `DistributionRecipe`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from t2i_jax import axis, types
from t2i_jax.choices import check_choice
from t2i_jax.losses import distributions as losses
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.distribution_normalization import Reconstructed
from t2i_jax.models.images import pyramid
from t2i_jax.models.semantic_disentangling import Disentangled
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import Net, Seen

Images = Sequence[jax.Array]
Losses = dict[str, jax.Array]

_OF_STAGES = {"paper": ("sdl_image", "sdl_context", "rirm"), "released": ("sdl", "rirm")}
_OF_RECONSTRUCTIONS = {
    "g": ("dnm_image", "dnm_kl"),
    "d": ("dnm_real", "dnm_fake", "dnm_kl_real", "dnm_kl_fake"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributionRecipe(GanRecipe):
    """Base of recipes of several scales, whose networks may have the two modules. Without
    ``image_sizes`` the discriminator takes the generator's. A module that no weighted term asks
    is not run for the sake of its terms.

    dnm_scales: factors of G's term ``dnm_image`` for each scale; (): 1.
    """

    dnm_scales: tuple[float, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        sizes = self.generator.image_sizes
        if not self.discriminator.image_sizes:
            complete = self.discriminator.clone(image_sizes=sizes)
            object.__setattr__(self, "discriminator", complete)
        if self.discriminator.image_sizes != sizes:
            raise ValueError(
                f"discriminator.image_sizes={self.discriminator.image_sizes}, but the generator "
                f"makes {sizes}: leave the field () to follow the generator"
            )
        form = self.generator.sdm_form
        check_choice("generator.sdm_form", form, _OF_STAGES)
        for term in sorted({name for names in _OF_STAGES.values() for name in names}):
            if not self.on(f"g.{term}"):
                continue
            if not self.generator.sdm:
                raise ValueError(
                    f"the term g.{term} is of the Semantic Disentangling Module: set "
                    f"generator.sdm=True, or its weight (loss.g.{term}) to 0"
                )
            if term not in _OF_STAGES[form]:
                raise ValueError(
                    f"generator.sdm_form={form!r} has the terms {_OF_STAGES[form]}, not {term!r}: "
                    f"set its weight (loss.g.{term}) to 0, or the other form"
                )
        for player in _OF_RECONSTRUCTIONS:
            if self.reconstructs(player) and not self.discriminator.dnm:
                raise ValueError(
                    f"the terms {player}.dnm_* are of the Distribution Normalization Module: set "
                    f"discriminator.dnm=True, or their weights (loss.{player}.dnm_*) to 0"
                )
        if self.dnm_scales and len(self.dnm_scales) != len(sizes):
            raise ValueError(
                f"dnm_scales={self.dnm_scales}: give one for each of {len(sizes)} scales"
            )

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> Any:
        """The trunks of D, one a scale."""
        return d(images, method="features")

    @property
    def disentangles(self) -> bool:
        """Whether a weighted term compares what the stages make of real images."""
        return any(self.on(f"g.{term}") for terms in _OF_STAGES.values() for term in terms)

    def reconstructs(self, player: str) -> bool:
        """Whether a weighted term of that player asks D for reconstructions."""
        return any(self.on(f"{player}.{term}") for term in _OF_RECONSTRUCTIONS[player])

    def real_images(self, seen: Seen, key: str = types.IMAGES) -> tuple[jax.Array, ...]:
        """Images of the batch at every scale."""
        return pyramid(seen.of(key), self.discriminator.image_sizes)

    def _on(self, player: str, found: Losses) -> Losses:
        return {name: loss for name, loss in found.items() if self.on(f"{player}.{name}")}

    def stage_losses(self, seen: Seen, out: Mapping[str, Any]) -> Losses:
        """G's weighted terms of the Semantic Disentangling Module, from ``out["disentangled"]``."""
        if not self.disentangles:
            return {}
        form, axis_name = self.generator.sdm_form, self.axis_name
        found = of_stages(self.real_images(seen), out["disentangled"], form, axis_name)
        return self._on("g", found)

    def reconstruct(
        self, d: Net, features: Any, seen: Seen, key: jax.Array, call: int = 0
    ) -> tuple[Reconstructed, ...]:
        """The images of every scale again, by D's module. call: tells calls of one key apart."""
        sentence = seen.text.sentence
        noise = self.dnm_noise(jax.random.fold_in(key, call), sentence.shape[0])
        return d(features, sentence, noise, method="reconstruct")

    def dnm_noise(self, key: jax.Array, rows: int) -> jax.Array:
        """The noise of one reconstruction, `rows` local rows."""
        shape = self.discriminator.noise_shapes["dnm"]
        return axis.normal(key, (rows, *shape), self.axis_name)

    def reconstruction_losses_of_d(
        self, images: Mapping[str, Images], again: Mapping[str, Sequence[Reconstructed]]
    ) -> Losses:
        """D's weighted terms of the Distribution Normalization Module, see `of_discriminator`.

        images: as D has seen them, augmented.
        """
        found = of_discriminator(images, again, self.discriminator.dnm_form, self.axis_name)
        return self._on("d", found)

    def reconstruction_losses_of_g(self, d: Net, features: Any, seen: Seen, key: jax.Array):
        """G's weighted terms of that module, from D's features of the fakes."""
        form, axis_name = self.discriminator.dnm_form, self.axis_name
        # Another call than D's: with order="simultaneous" both players have the same key.
        again = self.reconstruct(d, features, seen, key, call=2)
        real = augmented(self, d, self.real_images(seen))
        return self._on("g", of_generator(real, again, form, self.dnm_scales, axis_name))


def of_stages(
    real: Images, stages: Sequence[Disentangled], form: str, axis_name: str | None
) -> Losses:
    """G's terms of the Semantic Disentangling Module; none without stages behind the first.

    real: images of every scale, low to high; stages: what each stage behind the first gave.
    """
    if not stages:
        return {}
    if form == "paper":
        found = {
            "sdl_image": sum(
                losses.semantic_disentangling(*s.features.image, s.features.real) for s in stages
            ),
            "rirm": sum(
                losses.mean_distance(s.reconstruction, x)
                for s, x in zip(stages, real, strict=False)
            ),
        }
        if all(s.features.context for s in stages):
            found["sdl_context"] = sum(
                losses.semantic_disentangling(*s.features.context, s.features.real) for s in stages
            )
        return found
    sides = [s.features.real.shape[1] for s in stages]
    totals = []
    for stage, side in zip(stages, sides, strict=True):
        halves = [half for half in (stage.codes.image, stage.codes.context) if half]
        totals.append(
            sum(
                losses.released_semantic_disentangling(*half, stage.codes.real, side, axis_name)
                for half in halves
            )
        )
    return {
        "sdl": losses.released_disentangling_total(totals, sides),
        "rirm": sum(
            losses.squares_per_pixel(s.reconstruction, x, axis_name)
            for s, x in zip(stages, real, strict=False)
        ),
    }


def of_discriminator(
    images: Mapping[str, Images],
    again: Mapping[str, Sequence[Reconstructed]],
    form: str,
    axis_name: str | None,
) -> Losses:
    """D's terms of the Distribution Normalization Module.

    images, again: ``"real"`` and ``"fake"`` images of every scale, and their reconstructions.
    """
    found = {}
    for kind in ("real", "fake"):
        targets = images[kind]
        if form == "released" and kind == "real":
            targets = [targets[0]] * len(targets)
        elif form == "released":
            targets = [_reduced(x, targets[0].shape[1]) for x in targets]
        found[f"dnm_{kind}"] = sum(_distances(targets, again[kind], form, axis_name))
        found[f"dnm_kl_{kind}"] = sum(gaussian_kl(x.mu, x.logvar) for x in again[kind])
    return found


def of_generator(
    real: Images,
    again: Sequence[Reconstructed],
    form: str,
    factors: Sequence[float],
    axis_name: str | None,
) -> Losses:
    """G's terms of that module: `again` are the reconstructions of the fakes.

    factors: of the distance at each scale; empty: 1.
    """
    factors = factors or (1.0,) * len(again)
    targets = [real[0]] * len(again) if form == "released" else real
    distances = _distances(targets, again, form, axis_name)
    return {
        "dnm_image": sum(f * x for f, x in zip(factors, distances, strict=True)),
        "dnm_kl": sum(gaussian_kl(x.mu, x.logvar) for x in again),
    }


def _distances(
    targets: Images, again: Sequence[Reconstructed], form: str, axis_name: str | None
) -> list[jax.Array]:
    """Of the reconstructions of every scale from what they should be."""
    pairs = zip((x.image for x in again), targets, strict=True)
    if form == "paper":
        return [losses.mean_distance(*pair) for pair in pairs]
    return [losses.batch_norm_distance(*pair, axis_name) for pair in pairs]


def _reduced(images: jax.Array, side: int) -> jax.Array:
    """The release's bilinear reduction, which looks at the nearest four pixels only."""
    shape = (images.shape[0], side, side, images.shape[-1])
    return jax.image.resize(images, shape, "linear", antialias=False)
