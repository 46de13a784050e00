"""What the page asks of a sampler: pictures with what there is to say of them.

Nothing here is kept from one call to the next, so that the page can serve several people.
"""

import contextlib
import dataclasses
import threading
import time
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from t2i_jax import pictures
from t2i_jax.drawing import attention
from t2i_jax.sampler import CaptionWarning, Sampler

_ATTENTION = "attention"
_COLUMNS = 4  # of the picture to download


@dataclasses.dataclass(frozen=True)
class Asked:
    """What all pictures begin with.

    caption: None for a run without text.
    width: in pixels; None for the highest.
    """

    caption: str | None
    seed: int
    width: int | None = None

    @property
    def title(self) -> str:
        """For the picture to download."""
        return f"{self.caption}, seed {self.seed}" if self.caption else f"seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Images [N, H, W, 3] uint8, a label for each or none, and one picture of all for keeping.

    notes: what was not read of the captions.
    """

    images: Sequence[np.ndarray]
    picture: Image.Image
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Artist:
    """Draws one picture at a time, whoever asks. Made by `compiled`.

    reads: whether the run draws from captions.
    widths: in pixels, that the generator draws, low to high.
    attends: whether the system shows where it read the words.
    seconds: that compiling took.

    The methods raise ValueError as `Sampler.sample` does.
    """

    def __init__(self, sampler: Sampler, widths: Sequence[int], attends: bool, seconds: float):
        self.reads = bool(sampler.config.encoder.name)
        self.widths, self.attends, self.seconds = tuple(widths), attends, seconds
        self._sampler, self._lock = sampler, threading.Lock()

    def images(self, asked: Asked, num: int, truncation: float | None = None) -> Drawn:
        """`num` images of the caption."""
        with self._heard() as notes:
            images = self._sampler.sample(
                asked.caption, asked.seed, num, asked.width, truncation=truncation
            )
        return Drawn(images, _titled(asked.title, images), notes=tuple(notes))

    def to_caption(self, asked: Asked, other: str, steps: int) -> Drawn:
        """From the caption to another, the noise fixed."""
        with self._heard() as notes:
            images = self._sampler.interpolate(asked.caption, other, steps, asked.seed, asked.width)
        title = f"from “{asked.caption}” to “{other}”, seed {asked.seed}"
        return Drawn(images, _titled(title, images), notes=tuple(notes))

    def to_seed(self, asked: Asked, other: int, steps: int) -> Drawn:
        """From the seed to another, the caption fixed."""
        with self._heard() as notes:
            images = self._sampler.interpolate_noise(
                asked.caption, asked.seed, other, steps, asked.width
            )
        title = f"{asked.title} to {other}"
        return Drawn(images, _titled(title, images), notes=tuple(notes))

    def attention(self, asked: Asked) -> Drawn:
        """The image, then for each word of the caption the image lit where the word was read."""
        with self._heard() as notes:
            images, found = self._sampler.sample(
                asked.caption, asked.seed, scale=asked.width, extras=[_ATTENTION]
            )
            maps, words = found[_ATTENTION], self._sampler.words(asked.caption)
        if maps.ndim == 3:  # of a discriminator that reads the caption as a whole
            maps, words = maps[..., None], ["the caption"]
        lit = [attention.overlay(images[0], maps[0, ..., t]) for t in range(len(words))]
        picture = attention.picture(images, maps, [words], [asked.title])
        return Drawn([images[0], *lit], picture, ("", *words), tuple(notes))

    @contextlib.contextmanager
    def _heard(self) -> Iterator[list[str]]:
        """Inside, nobody else draws; afterwards the list has the captions' warnings.

        Warnings are caught for the whole process, and so are safe under the lock alone.
        """
        notes: list[str] = []
        with self._lock, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", CaptionWarning)
            yield notes
        notes += dict.fromkeys(
            str(w.message) for w in caught if issubclass(w.category, CaptionWarning)
        )


def check_typed(config: ConfigDict) -> None:
    """Raises ValueError for a run that draws from text which nobody can type."""
    if config.data.get("text") == "embeddings" and not config.encoder.name:
        raise ValueError(
            "this run was trained on stored embeddings and has no text encoder, so there is no "
            "caption to type: draw from embeddings with t2i_jax.Sampler"
        )


def compiled(sampler: Sampler, caption: str | None) -> Artist:
    """The artist of a sampler that has compiled all that the page draws with.

    caption: to compile with; by default one that any tokenizer reads, its own first token.

    Raises ValueError where the run reads nothing of this caption.
    """
    if not sampler.config.encoder.name:
        caption = None
    elif caption is None:
        (caption,) = sampler.system.tokenizer.decode([[1]])
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptionWarning)
        drawn = sampler.sample(caption, scale="all")
        attends = caption is not None and _attends(sampler, caption)
    widths = sorted({images.shape[2] for images in drawn})
    return Artist(sampler, widths, attends, time.monotonic() - began)


def _attends(sampler: Sampler, caption: str) -> bool:
    try:
        sampler.sample(caption, extras=[_ATTENTION])
    except ValueError:  # raised before anything is compiled
        return False
    return True


def _titled(title: str, images: np.ndarray) -> Image.Image:
    return pictures.titled([(title, pictures.grid(images, columns=min(len(images), _COLUMNS)))])
