"""Whether a generator draws what captions state, by a classifier of the toy birds' attributes.

Captions are held out: their birds are of no species, all attributes drawn by themselves. Only what
the classifier reads in at least 99 % of drawn birds is reported. Beside each share stand

    ceiling   the share of the same captions' birds as the data set's renderer draws them, degraded
              (`t2i_jax.losses.degradations`)
    chance    the share when the readings are dealt to each other's captions
    instead   what was read for what was stated
    misbound  how often a part has the colour that the caption gives to another

and how varied the samples of one caption are, against drawings of what the caption may mean.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from PIL import Image

from t2i_jax import keys
from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.drawing.drawer import to_uint8
from t2i_jax.evaluation import attribute_scores as scores
from t2i_jax.evaluation import toy_captions
from t2i_jax.evaluation.attribute_pictures import report
from t2i_jax.evaluation.attribute_reader import Reader, Readings
from t2i_jax.evaluation.extractors.base import Extractor, usual_layer
from t2i_jax.evaluation.metrics.diversity import distances
from t2i_jax.losses.degradations import degrade
from t2i_jax.training.inputs import to_float

READABLE = 0.99  # of drawn birds; an attribute that is read less surely is not reported
CAPTIONS, SAMPLES = 16, 16  # of the diversities

Draw = Callable[[Sequence[str], int, int], np.ndarray]  # (captions, seed, num) -> uint8 NHWC


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is evaluated. draw: the generator, `num` images of each caption one after another.
    num, seed: of the captions. describe: what a result says of the generator, JSON types.
    """

    draw: Draw
    num: int
    seed: int
    describe: dict


def evaluate(
    setup: Setup, reader: Reader, features: Extractor
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print). ValueError for fewer than 2 captions, and where
    the classifier reads no attribute surely enough.
    """
    num, seed = setup.num, setup.seed
    if num < 2:
        raise ValueError(f"num={num}: must be at least 2, for chance deals readings out anew")
    birds = [toy_captions.stated(i, seed) for i in range(num)]
    facts = [bird.facts for bird in birds]
    samples = setup.draw([bird.caption for bird in birds], seed, 1)
    size = samples.shape[2]
    drawn = np.stack([toy_captions.drawing(bird, i, seed, size) for i, bird in enumerate(birds)])
    sure = sureness(reader.read(drawn), birds)
    names = [name for name, value in sure.items() if value >= READABLE]
    if not names:
        raise ValueError(
            f"classifier={reader.name!r} reads no attribute in {READABLE:.0%} of drawn birds of "
            f"{size} px: {', '.join(f'{k} {v:.1%}' for k, v in sure.items())}"
        )
    read, best = reader.read(samples), reader.read(degraded(drawn, seed))
    found = {name: attribute(name, facts, read, best) for name in names}
    colours = {
        kind: scores.all_colours(facts, {name: part[name] for name in names})
        for kind, part in (("samples", read), ("ceiling", best))
    }
    result = {
        **setup.describe,
        "n": num,
        "seed": seed,
        "classifier": reader.name,
        "read_of_drawn": sure,
        "readable": READABLE,
        "attributes": found,
        "every_colour": colours["samples"],
        "every_colour_ceiling": colours["ceiling"],
        "diversity": diversity(setup, birds, features),
    }
    title = f"{setup.describe['workdir']}: {num:,} held-out captions, an image each"
    return result, {"toy_attributes": report(found, title)}, table(result)


def sureness(read: Readings, birds: Sequence[toy_captions.Stated]) -> dict[str, float]:
    """The share of birds of which each attribute is read as it is, stated or not."""
    truth = {name: np.array([bird.attributes[name] for bird in birds]) for name in read}
    return {name: float(np.mean(read[name] == truth[name])) for name in read}


def degraded(images: np.ndarray, seed: int) -> np.ndarray:
    """uint8 [N, H, W, 3] -> the same as a classifier's training degrades them."""
    return np.asarray(to_uint8(jax.jit(degrade)(to_float(images), keys.from_seed(seed))))


def attribute(name: str, facts: scores.Facts, read: Readings, best: Readings) -> dict:
    """All that is said of one attribute. read: of the samples; best: of the degraded drawings."""
    counts = scores.confusion(name, facts, read[name])
    row = {
        **scores.accuracy(counts),
        "ceiling": scores.accuracy(scores.confusion(name, facts, best[name]))["share"],
        "instead": scores.read_instead(name, counts),
    }
    if name in scores.COLOURED:
        row["misbound"] = scores.misbound(name, facts, read[name])
    return {**row, "values": list(ATTRIBUTES[name]), "confusion": counts.tolist()}


def diversity(setup: Setup, birds: Sequence[toy_captions.Stated], features: Extractor) -> dict:
    """Distances between samples of one caption, and between drawings of what it may mean."""
    birds, samples = birds[:CAPTIONS], SAMPLES
    images = setup.draw([bird.caption for bird in birds], setup.seed, samples)
    drawn = [
        toy_captions.variation(bird, i, k, setup.seed, images.shape[2])
        for i, bird in enumerate(birds)
        for k in range(samples)
    ]
    mean, nearest = _distances(features, images, samples)
    drawn_mean, drawn_nearest = _distances(features, np.stack(drawn), samples)
    return {
        "captions": len(birds),
        "samples": samples,
        "features": features.name,
        "mean_distance": mean,
        "mean_distance_drawn": drawn_mean,
        "mean_ratio": mean / drawn_mean,
        "nearest_distance": nearest,
        "nearest_distance_drawn": drawn_nearest,
        "nearest_ratio": nearest / drawn_nearest,
    }


def _distances(features: Extractor, images: np.ndarray, samples: int) -> tuple[float, float]:
    vectors = features.extract(images)[usual_layer(features.widths)]
    return distances(vectors.reshape(-1, samples, vectors.shape[-1]))


def values(result: dict) -> dict[str, float | None]:
    """The numbers of a result that tables take: shares of the attributes, and the diversity."""
    shares = {name: row["share"] for name, row in result["attributes"].items()}
    varied = result["diversity"]
    return {
        **shares,
        "every_colour": result["every_colour"]["share"],
        "diversity": varied["mean_ratio"],
        "nearest": varied["nearest_ratio"],
    }


def table(result: dict) -> str:
    """The result in lines for the terminal."""
    lines = [
        f"{'attribute':11} {'shown':>6}  {'95 % interval':15} {'ceiling':>7} {'chance':>7} "
        f"{'misbound':>8} {'captions':>8}  read instead"
    ]
    for name, row in result["attributes"].items():
        if not row["n"]:
            continue
        span = "{:.1%} to {:.1%}".format(*row["interval"])
        bound = row.get("misbound", {}).get("share")
        instead = ", ".join(f"{x['stated']} as {x['read']}" for x in row["instead"][:3])
        chance = "" if row["chance"] is None else f"{row['chance']:.1%}"
        lines.append(
            f"{name:11} {row['share']:6.1%}  {span:15} {row['ceiling']:7.1%} {chance:>7} "
            f"{'' if bound is None else f'{bound:.1%}':>8} {row['n']:8,}  {instead}"
        )
    every, most, varied = (
        result[key] for key in ("every_colour", "every_colour_ceiling", "diversity")
    )
    lines.append(f"every stated colour right: {every['share']:.1%} (ceiling {most['share']:.1%})")
    lines.append(
        f"samples of one caption, distances against drawn birds': mean {varied['mean_ratio']:.2f}, "
        f"to the nearest {varied['nearest_ratio']:.2f}"
    )
    unread = {k: v for k, v in result["read_of_drawn"].items() if k not in result["attributes"]}
    if unread:
        listed = ", ".join(f"{name} ({value:.1%})" for name, value in unread.items())
        lines.append(f"not reported, since the classifier misreads drawn birds: {listed}")
    return "\n".join(lines)
