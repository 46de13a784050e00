"""The page that a rater opens: one HTML file that needs nothing else and calls no one."""

import base64
import hashlib
import importlib.resources
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from t2i_jax.evaluation.rating.assignment import QUESTIONS, RANKINGS, Item


def content(
    items: Sequence[Item], draws: Sequence[np.ndarray], captions: Sequence[str] | None
) -> dict:
    """What the page shows, JSON types: no names of runs, and no place from which to tell them.

    draws: of each run, uint8 [captions, H, W, 3]. ``"page"`` is a digest of all the rest.
    """
    asked = QUESTIONS if len(draws) == 2 else RANKINGS
    places: dict[tuple[int, int], int] = {}
    for item in items:
        for run in item.runs:
            places.setdefault((item.caption, run), len(places))
    shown = {
        "questions": [[name, asked[name]] for name in asked if captions or name != "caption"],
        "images": [_data_uri(draws[run][caption]) for caption, run in places],
        "items": [
            {
                "caption": captions[item.caption] if captions else "",
                "images": [places[item.caption, run] for run in item.runs],
            }
            for item in items
        ],
    }
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    return {"page": digest[:16], **shown}


def html(shown: Mapping) -> str:
    """The page of a `content`."""
    folder = importlib.resources.files(__package__)
    page, script, style = (
        folder.joinpath(name).read_text("utf-8") for name in ("page.html", "page.js", "page.css")
    )
    data = json.dumps(shown).replace("<", "\\u003c")  # so that no caption ends the script
    for place, text in (("STYLE", style), ("SCRIPT", script), ("DATA", data)):
        page = page.replace(f"{{{{{place}}}}}", text)
    return page


def _data_uri(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
