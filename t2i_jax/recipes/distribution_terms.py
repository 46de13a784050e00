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
"""

from collections.abc import Mapping, Sequence

import jax

from t2i_jax.losses import distributions as losses
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.distribution_normalization import Reconstructed
from t2i_jax.models.semantic_disentangling import Disentangled

Images = Sequence[jax.Array]
Terms = dict[str, jax.Array]


def of_stages(
    real: Images, stages: Sequence[Disentangled], form: str, axis_name: str | None
) -> Terms:
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
) -> Terms:
    """D's terms of the Distribution Normalization Module.

    images, again: ``"real"`` and ``"fake"`` images of every scale, and their reconstructions.
    """
    found = {}
    for kind in ("real", "fake"):
        targets = images[kind]
        if form == "released":
            side = again[kind][0].image.shape[1]
            reduced = [_reduced(x, side) for x in targets]
            targets = [targets[0]] * len(targets) if kind == "real" else reduced
        found[f"dnm_{kind}"] = sum(_distances(targets, again[kind], form, axis_name))
        found[f"dnm_kl_{kind}"] = sum(gaussian_kl(x.mu, x.logvar) for x in again[kind])
    return found


def of_generator(
    real: Images,
    again: Sequence[Reconstructed],
    form: str,
    factors: Sequence[float],
    axis_name: str | None,
) -> Terms:
    """G's terms of that module: `again` are the reconstructions of the fakes.

    factors: of the distance at each scale; empty: 1.

    Raises ValueError for another number of factors.
    """
    if factors and len(factors) != len(again):
        raise ValueError(f"dnm_scales={tuple(factors)}: give one for each of {len(again)} scales")
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
