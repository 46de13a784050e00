"""Semantic object accuracy: how often a detector finds the object that a caption names (Hinz et
al., TPAMI 2020, section 4), from a detector's results in COCO's JSON.
"""

import collections
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from t2i_jax import paths
from t2i_jax.evaluation.metrics.coco_classes import IDS, NAMES

THRESHOLD = 0.5  # as published, with YOLOv3 on 256 px and a non-maximum suppression of 0.4
_HALF = 40

Image = int | str


class Target(NamedTuple):
    """An image and the class that the caption it was made from names."""

    image: Image
    category: int


class Detection(NamedTuple):
    image: Image
    category: int
    score: float


class Soa(NamedTuple):
    """by_class: SOA-C, the mean over classes of the share of their images with the object.
    by_image: SOA-I, the share of all images. top_40, bottom_40: the means over the 40 classes with
    the most and with the fewest images; None where not all 80 have images.
    shares: by category id, of those with images. classes, images: how many there are.
    """

    by_class: float
    by_image: float
    top_40: float | None
    bottom_40: float | None
    shares: Mapping[int, float]
    classes: int
    images: int


def read_targets(path: str | os.PathLike) -> list[Target]:
    """Of a JSON file: a list of ``{"image_id", "category_id"}``, one of each image and class; more
    fields, such as the caption, are welcome.

    Raises OSError where the file cannot be read, and ValueError naming file and entry for anything
    else in it.
    """
    return [Target(*_image_and_class(entry, at)) for entry, at in _entries(path)]


def read_detections(path: str | os.PathLike) -> list[Detection]:
    """Of a detector's results as COCO defines them: a list of ``{"image_id", "category_id", "bbox",
    "score"}``. Boxes are not read. Raises as `read_targets`.
    """
    return [
        Detection(*_image_and_class(entry, at), _score(entry, at)) for entry, at in _entries(path)
    ]


def soa(targets: Sequence[Target], detections: Sequence[Detection]) -> Soa:
    """An image counts for its class where a detection of that class scores `THRESHOLD` or more.

    Raises ValueError for no target, one that is given twice, and a detection in an image that is no
    target's.
    """
    wanted = collections.Counter(targets)
    if not wanted:
        raise ValueError("SOA: there are no targets")
    if len(wanted) < len(targets):
        raise ValueError(f"SOA: {wanted.most_common(1)[0][0]} is given twice")
    images = {target.image for target in targets}
    for number, (image, *_) in enumerate(detections):
        if image not in images:
            raise ValueError(
                f"SOA: detection {number} lies in image {image!r}, which no target names (they are "
                f"such as {targets[0].image!r}): detections and targets are of other images"
            )
    found = {Target(d.image, d.category) for d in detections if d.score >= THRESHOLD}
    return aggregate(_count(wanted), _count(found & wanted.keys()))


def _count(targets: Iterable[Target]) -> dict[int, int]:
    counts = dict.fromkeys(IDS, 0)
    for target in targets:
        counts[target.category] += 1
    return counts


def aggregate(images: Mapping[int, int], detected: Mapping[int, int]) -> Soa:
    """Of the images of each class and those of them in which it was found, by category id; classes
    without images are left out.

    Raises ValueError where no class has images.
    """
    images = {category: count for category, count in images.items() if count}
    if not images:
        raise ValueError("SOA: no class has images")
    shares = {category: detected[category] / count for category, count in images.items()}
    rarest = [shares[category] for category in sorted(images, key=images.get)]
    total, halves = sum(images.values()), (None, None)
    if len(images) == 2 * _HALF:
        halves = math.fsum(rarest[_HALF:]) / _HALF, math.fsum(rarest[:_HALF]) / _HALF
    return Soa(
        by_class=math.fsum(rarest) / len(rarest),
        by_image=sum(detected[category] for category in images) / total,
        top_40=halves[0],
        bottom_40=halves[1],
        shares=shares,
        classes=len(images),
        images=total,
    )


def _entries(path: str | os.PathLike) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(each entry of a JSON list of objects, its place for messages)."""
    try:
        entries = json.loads(paths.read_bytes(paths.path(path)))
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(entries, list):
        raise ValueError(f"{path}: a list of objects is needed, not a {type(entries).__name__}")
    for number, entry in enumerate(entries):
        at = f"{path}: entry {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{at} is no object")
        yield entry, at


def _image_and_class(entry: Mapping[str, Any], at: str) -> tuple[Image, int]:
    image, category = entry.get("image_id"), entry.get("category_id")
    if isinstance(image, bool) or not isinstance(image, (int, str)):
        raise ValueError(f"{at}: image_id={image!r} is neither a number nor a name")
    if type(category) is not int or category not in NAMES:
        raise ValueError(
            f"{at}: category_id={category!r} is none of COCO's 80, which are 1 (person) to 90 "
            "(toothbrush) with gaps; places in a list of 80 have other numbers"
        )
    return image, category


def _score(entry: Mapping[str, Any], at: str) -> float:
    score = entry.get("score")
    number = isinstance(score, (int, float)) and not isinstance(score, bool)
    if not (number and 0 <= score <= 1):
        raise ValueError(f"{at}: score={score!r} is no number from 0 to 1")
    return score
