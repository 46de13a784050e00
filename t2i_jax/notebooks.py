"""What notebooks show: images over their captions, and the results of trainings and evaluations."""

import base64
import dataclasses
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from t2i_jax import paths, pictures


def show(
    images: np.ndarray | Sequence[np.ndarray] | tuple[np.ndarray, ...],
    captions: str | Sequence[str] | None = None,
    columns: int | None = None,
) -> Image.Image:
    """One picture of many, each over its caption; a notebook shows it, ``.save("birds.png")``
    writes it.

    images: what `Sampler`'s methods return: uint8 [N, H, W, 3], [texts, photos, H, W, 3], or a
        tuple of such over scales, which stand side by side. Also a list of photos [H, W, 3].
    captions: one an image; or, of images that were drawn with ``num``, one for each `num` of them.
    columns: images side by side; by default those of one caption, or up to 8.

    Raises TypeError for other arrays and for captions that are no text, ValueError for a number of
    captions that does not fit.
    """
    scales = [_listed(part) for part in (images if isinstance(images, tuple) else (images,))]
    count = len(scales[0])
    if captions is None:
        return pictures.scales_grid(scales, None, columns or _photos(images))
    captions = [captions] if isinstance(captions, str) else captions
    if not hasattr(captions, "__len__") or not all(isinstance(c, str) for c in captions):
        raise TypeError(f"captions={captions!r}: texts are needed, or a list of them")
    if not len(captions) or count % len(captions):
        raise ValueError(f"{len(captions)} captions for {count} images: give one for each")
    each = count // len(captions)
    repeated = [caption for caption in captions for _ in range(each)]
    return pictures.scales_grid(scales, repeated, columns or (each if each > 1 else None))


def _photos(images: Any) -> int | None:
    """How many photos lent their style to images [texts, photos, H, W, 3]."""
    first = images[0] if isinstance(images, tuple) else images
    return first.shape[1] if np.ndim(first) == 5 else None


def _listed(images: Any) -> Any:
    """Images [H, W, 3] one after the other."""
    if isinstance(images, np.ndarray):
        images = images.reshape(-1, *images.shape[-3:]) if images.ndim in (3, 5) else images
    if not isinstance(images, np.ndarray | Sequence) or isinstance(images, str):
        raise TypeError(f"images={images!r}: what Sampler.sample returns is needed")
    for image in images:
        fits = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3
        if not fits or image.dtype != np.uint8:
            kind = getattr(image, "dtype", type(image).__name__)
            raise TypeError(f"images are uint8 arrays [H, W, 3], not {kind} {np.shape(image)}")
    return images


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training has left.

    workdir: the run directory. system: what was trained. step: of its latest checkpoint.
    metrics: means over the last logged interval; empty where nothing was left to do.
    """

    workdir: str
    system: str
    step: int | None
    metrics: Mapping[str, float]

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name!r}: {value:.4g}" for name, value in self.metrics.items())
        return (
            f"TrainingResult(workdir={self.workdir!r}, system={self.system!r}, step={self.step}, "
            f"metrics={{{metrics}}})"
        )


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation has found; a notebook shows its numbers and pictures.

    protocol: its full name. workdir, step: the run and its checkpoint, None for images without one.
    values: numbers by name, None for one without meaning here; empty for protocols that have none.
    spreads: the deviation of those that are means over parts. lower_is_better: names of values.
    conditions: all that the numbers depend on. details: more that was found, JSON types.
    pictures: by name. text: as the command line prints it. files: what was written.
    """

    protocol: str
    workdir: str
    step: int | None
    values: Mapping[str, float | None]
    spreads: Mapping[str, float]
    lower_is_better: Sequence[str]
    conditions: Mapping[str, Any]
    details: Mapping[str, Any]
    pictures: Mapping[str, Image.Image]
    text: str
    files: Sequence[paths.Path]

    def __repr__(self) -> str:
        values = {k: v if v is None else float(f"{v:.6g}") for k, v in self.values.items()}
        return (
            f"EvaluationResult(protocol={self.protocol!r}, workdir={self.workdir!r}, "
            f"step={self.step}, values={values}, pictures={list(self.pictures)}, "
            f"files={[str(file) for file in self.files]})"
        )

    def _repr_html_(self) -> str:
        text = html.escape(self.text or repr(self))  # columns, which pages would set in any font
        parts = [f'<pre style="font-family: monospace">{text}</pre>']
        for name, picture in self.pictures.items():
            drawn = io.BytesIO()
            picture.save(drawn, "PNG")
            data = base64.b64encode(drawn.getvalue()).decode()
            parts.append(f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">')
        return "\n".join(parts)
