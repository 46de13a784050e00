"""Pages to rate, and raters who know what they like."""

import base64
import io
import json
import re

import numpy as np
from PIL import Image

from t2i_jax.evaluation.rating import protocol

CAPTIONS = [f"a bird of number {i} <b>&</b> </script>" for i in range(12)]
LEVELS = {"runs/secret_a": 40, "runs/secret_b": 120, "runs/secret_c": 200}


def draws(names, count=12):
    """Flat images: the level says the run, the green channel the caption; sizes differ."""
    made = {}
    for k, name in enumerate(names):
        images = np.full((count, 8 * (k + 1), 8 * (k + 1), 3), LEVELS[name], np.uint8)
        images[..., 1] = np.arange(count)[:, None, None]
        made[name] = images
    return made


def made(folder, names, captions=CAPTIONS, seed=3, **options):
    """(folder, key) of a page."""
    count = 12 if captions is None else len(captions)
    for name, data in protocol.make(
        draws(names, count), captions, seed, {"steps": [1, 2]}, **options
    ).items():
        (folder / name).write_bytes(data)
    return folder, json.loads((folder / protocol.KEY).read_text())


def shown(folder) -> dict:
    """What a page has in it."""
    text = (folder / protocol.PAGE).read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def image(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def rows(key, rater, choose):
    """Lines of a CSV: `choose(item, question, runs)` names runs, the best first, or None."""
    lines = []
    for number, item in enumerate(key["items"], start=1):
        for question in key["questions"]:
            order = choose(number, question, item["runs"])
            sides = range(1, len(item["runs"]) + 1)
            choice = "=".join(map(str, sides))
            if order is not None:
                choice = ">".join(str(item["runs"].index(run) + 1) for run in order)
            quoted = rater.replace('"', '""')
            lines.append(f'{key["page"]},"{quoted}",{number},{question},{choice},2.5')
    return lines


def write(path, lines):
    path.write_text("\r\n".join(["page,rater,item,question,choice,seconds", *lines, ""]))
    return path
