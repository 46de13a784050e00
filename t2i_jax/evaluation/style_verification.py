"""Does a style encoder hear style, and the captions' encoder none of it? The check of GAN-INT-CLS
(Reed et al., ICML 2016, section 5.1): pairs of images of one style against pairs of two, told apart
by the cosine of what an encoder says of each; the area under the ROC curve, over 5 folds.

The paper's styles are clusters of background colours and of poses in CUB. Here styles are

    the attributes of toy birds that captions hardly state: pose, perch, background
    a column of a file of the user's: image, group; or, of CUB's ``parts/part_locs.txt``, 100
    clusters of the places of six parts (section 5.1), of images that show all six
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from t2i_jax import paths
from t2i_jax.data.decode import image_size
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.drawing.drawer import in_batches
from t2i_jax.evaluation import text_probe
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.metrics.verification import verification
from t2i_jax.models.style_encoder import StyleEncoder
from t2i_jax.training import networks
from t2i_jax.training.inputs import to_float

ATTRIBUTES = ("pose", "perch", "background")
# CUB's numbers of beak, belly, breast, crown, forehead and tail, in parts/parts.txt.
PARTS = (2, 3, 4, 5, 6, 14)
CLUSTERS = 100
_BATCH = 64


def evaluate(
    workdir: str, held_out: HeldOut, num: int, seed: int, groups_file: str = "", text: str = ""
) -> tuple[dict, dict[str, float], str]:
    """(details, values, what to print) of a style encoder's run.

    num: held-out images at most. groups_file: styles of the user's. text: the run whose text
    encoder is the baseline, "" for none.

    Raises ValueError where nothing tells of styles, and as `verification`.
    """
    network = networks.resolve("workdir", workdir, "net", StyleEncoder)
    count = min(num, len(held_out))
    groups = _groups(held_out, count, groups_file, seed)
    apply = jax.jit(lambda v, x: network.module.apply(v, to_float(x), train=False))
    images = held_out.images(count)
    vectors = {"style": in_batches(lambda x: apply(network.variables, x), images, _BATCH)}
    if text:
        encoder = text_probe.encoder_of(text)
        vectors["caption"] = text_probe.sentence_vectors(encoder, held_out.captions(count))
    found = {
        f"{name}_by_{kind}": verification(of[known >= 0], known[known >= 0], seed=seed)
        for name, known in groups.items()
        for kind, of in vectors.items()
    }
    lines = [f"{'area under the ROC curve':32} {'mean':>6}  over 5 folds"]
    lines += [f"{name:32} {x.mean:6.3f}  ± {x.deviation:.3f}" for name, x in found.items()]
    details = {
        "workdir": workdir,
        "weights": networks.digest(network),
        "data": held_out.identity,
        "images": count,
        "seed": seed,
        "groups": {
            name: {"images": int((x >= 0).sum()), "groups": len(np.unique(x[x >= 0]))}
            for name, x in groups.items()
        },
        "verification": {
            name: {"mean": x.mean, "deviation": x.deviation, "folds": x.folds.tolist()}
            for name, x in found.items()
        },
    }
    return details, {name: x.mean for name, x in found.items()}, "\n".join(lines)


def _groups(held_out: HeldOut, count: int, file: str, seed: int) -> dict[str, np.ndarray]:
    """The style of every sample by the kinds of style, int [count], -1 for none."""
    records = held_out.records(count)
    if file:
        if os.path.basename(file) == "part_locs.txt":
            return {"pose": poses(held_out.source, records, file, seed)}
        return {"group": _of_file(held_out.source, records, file)}
    first = held_out.source[int(records[0])].get("attributes", {})
    names = [name for name in ATTRIBUTES if name in first]
    if not names:
        raise ValueError(
            f"{held_out.title} has no styles: give --groups=FILE, a CSV with image and group, or "
            "CUB's parts/part_locs.txt"
        )
    every = [held_out.source[int(i)]["attributes"] for i in records]
    return {name: np.array([row[name] for row in every]) for name in names}


def _of_file(source: PreparedSplit, records: Sequence[int], file: str) -> np.ndarray:
    text = paths.read_bytes(paths.path(file)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if any(len(row) != 2 for row in rows):
        raise ValueError(f"{file}: every line has an image's name and its group")
    known = dict(rows)
    numbers = {group: i for i, group in enumerate(sorted(set(known.values())))}
    names = [source[int(i)]["image/filename"] for i in records]
    found = np.array([numbers.get(known.get(name, ""), -1) for name in names])
    if (found < 0).all():
        raise ValueError(f"{file} names none of the images, such as {names[0]!r}")
    return found


def poses(source: PreparedSplit, records: Sequence[int], file: str, seed: int) -> np.ndarray:
    """The cluster of the places of six parts, in shares of width and height, int [N]; -1 for images
    of which one is not visible.

    file: in its place in CUB, beside whose folder are ``images.txt`` and ``images/``.
    """
    from sklearn.cluster import KMeans  # of the extra "eval"

    root = paths.path(file).parent.parent
    lines = paths.read_bytes(root / "images.txt").decode().splitlines()
    listed = {os.path.basename(name): (i, name) for i, name in (line.split() for line in lines)}
    places = _places(file)
    found, rows = np.full(len(records), -1), []
    for at, i in enumerate(records):
        image, name = listed.get(os.path.basename(source[int(i)]["image/filename"]), ("", ""))
        six = places.get(image, {})
        if len(six) == len(PARTS):
            # Of the original: prepared images may be smaller than the coordinates.
            size = image_size(paths.read_bytes(root / "images" / name))
            rows.append((at, np.array([six[part] for part in PARTS]) / size))
    if len(rows) < CLUSTERS:
        raise ValueError(f"{file}: {len(rows)} images show all six parts; {CLUSTERS} are needed")
    points = np.array([np.ravel(place) for _, place in rows])
    labels = KMeans(CLUSTERS, n_init=1, random_state=seed).fit_predict(points)
    found[[at for at, *_ in rows]] = labels
    return found


def _places(file: str) -> Mapping[str, Mapping[int, tuple[float, float]]]:
    """By image and part, the visible ones of `PARTS`."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for number, line in enumerate(paths.read_bytes(paths.path(file)).decode().splitlines(), 1):
        try:
            image, part, x, y, visible = line.split()
            if int(part) in PARTS and int(visible):
                found.setdefault(image, {})[int(part)] = (float(x), float(y))
        except ValueError:
            raise ValueError(
                f"{file}, line {number}: not an image, a part, x, y and whether it is visible"
            ) from None
    return found
