"""Semantic Object Accuracy (Hinz et al., TPAMI 2022, section 4): does a detector find in an image
the object that its caption names? In two steps, for the detector is a program of the user's:

1. images of captions that name each of COCO's 80 classes are written with a list of what each
   should show (`write`);
2. the detector's results, in COCO's JSON, are held against that list (`read`).
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from t2i_jax import paths
from t2i_jax.evaluation import exchange
from t2i_jax.evaluation.image_sets import Drawn
from t2i_jax.evaluation.metrics import soa, soa_captions
from t2i_jax.training import files

TARGETS = "targets.json"  # beside the images' folder


def requests(captions: Mapping[int, Sequence[str]], seed: int) -> tuple[list[int], list[str]]:
    """(category ids, captions) of the images that are asked for; see `soa_captions.requests`."""
    asked = soa_captions.requests(captions, seed)
    return [category for category, _ in asked], [caption for _, caption in asked]


def write(
    images: Drawn, categories: Sequence[int], place: str, batch_size: int, console: Console | None
) -> None:
    """Writes the images to a folder, and what each should show to ``<folder>.targets.json``."""
    exchange.save(images, place, batch_size, console)
    captions = images.captions(0, len(images))
    listed = [
        {"image_id": f"{i:06d}.png", "category_id": category, "caption": caption}
        for i, (category, caption) in enumerate(zip(categories, captions, strict=True))
    ]
    files.write(_targets(place), json.dumps(listed) + "\n")


def read(place: str, detections: str) -> tuple[dict[str, float | None], dict[str, Any]]:
    """(values, details) of a detector's results on the images that `write` has written there.

    Raises as `soa.read_targets`, `soa.read_detections` and `soa.soa`.
    """
    found = soa.soa(soa.read_targets(_targets(place)), soa.read_detections(detections))
    values = {
        "soa_c": found.by_class,
        "soa_i": found.by_image,
        "soa_c_top_40": found.top_40,
        "soa_c_bottom_40": found.bottom_40,
    }
    details = {"shares": {str(k): v for k, v in found.shares.items()}}
    return values, {**details, "classes": found.classes, "images": found.images}


def _targets(place: str) -> pathlib.Path:
    folder = paths.local(place, "samples for a detector")
    return folder.with_name(f"{folder.name}.{TARGETS}")
