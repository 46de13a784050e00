"""The same captions and noise, drawn by the latest checkpoint of every run."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable

import numpy as np
from PIL import Image

from t2i_jax import paths, pictures
from t2i_jax.evaluation import results
from t2i_jax.reporting.run_files import Run
from t2i_jax.training.runs import latest_step

_FOLDER = "report_samples"  # of a run's evaluation folder
_LOSSLESS = 128  # pixels of width up to which images are put on the page as they are
_QUALITY = 90  # of WebP, for wider ones


@dataclasses.dataclass(frozen=True)
class Asked:
    """What every run is to draw: image i is of caption i, with the i-th noise of the seed.

    origin: of the captions, in words.
    """

    captions: tuple[str, ...]
    origin: str
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """What there is to see of a run.

    images: one a caption, as files of the type `media`, `side` pixels wide.
    why: there are none.
    grid: the last grid of its training as a PNG, where there are no images.
    """

    images: tuple[bytes, ...] = ()
    media: str = "image/png"
    side: int = 0
    step: int | None = None
    why: str = ""
    grid: bytes | None = None


# Images of a run's checkpoint, uint8 [captions, H, W, 3].
Draw = Callable[[Run, int, Asked], np.ndarray]


def drawn(run: Run, asked: Asked | None, draw: Draw) -> Drawn:
    """The images of a run, from its evaluation folder where an earlier report left them there.

    asked: None for the grid of the training alone.
    """
    if asked is None:
        return Drawn(grid=_grid(run))
    try:
        step, images = _images(run, asked, draw)
    except (ValueError, OSError, ImportError) as error:
        return Drawn(why=" ".join(str(error).split()), grid=_grid(run))
    lossless = images.shape[2] <= _LOSSLESS
    kind, options = ("PNG", {}) if lossless else ("WEBP", {"quality": _QUALITY})
    return Drawn(
        images=tuple(_file(image, kind, **options) for image in images),
        media=f"image/{kind.lower()}",
        side=images.shape[2],
        step=step,
    )


def _images(run: Run, asked: Asked, draw: Draw) -> tuple[int, np.ndarray]:
    if not run.config:
        raise FileNotFoundError(run.state)
    step = latest_step(run.workdir)
    if step is None:
        raise FileNotFoundError("it has no checkpoint yet")
    folder = run.workdir / results.FOLDER / _FOLDER
    path = folder / f"step_{step:08d}_{_digest(run, asked)}.png"
    images = _kept(path, len(asked.captions))
    if images is None:
        images = draw(run, step, asked)
        paths.folder(folder)
        pictures.save(Image.fromarray(np.concatenate(list(images), axis=1)), path)
    return step, images


def _digest(run: Run, asked: Asked) -> str:
    """Of what the images of a step depend on: captions, seed, and which training it was."""
    known = hashlib.sha256(json.dumps([*asked.captions, asked.seed]).encode())
    for name in ("config.json", "provenance.json"):
        if paths.exists(file := run.workdir / name):
            known.update(paths.read_bytes(file))
    return known.hexdigest()[:16]


def _kept(path: paths.Path, count: int) -> np.ndarray | None:
    """The images of an earlier report; None where there are none, or they are damaged."""
    if not paths.exists(path):
        return None
    try:
        strip = np.asarray(Image.open(io.BytesIO(paths.read_bytes(path))).convert("RGB"))
    except OSError:
        return None
    return np.stack(np.split(strip, count, axis=1)) if strip.shape[1] % count == 0 else None


def _grid(run: Run) -> bytes | None:
    """The last grid that a training wrote."""
    found = sorted((run.workdir / "samples").glob("step_*.png")) if run.config else []
    return paths.read_bytes(found[-1]) if found else None


def _file(image: np.ndarray, kind: str, **options) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, kind, **options)
    return stored.getvalue()
