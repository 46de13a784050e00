"""All that decides what a batch holds and how fast it comes: one flat, typed record."""

import dataclasses

from t2i_jax.choices import check_choice
from t2i_jax.data import captions, record_order, transforms

TEXTS = ("tokens", "embeddings")
MISMATCHES = ("", "image", "caption", "swapped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options of a pipeline. Raises ValueError, naming the field, for values that cannot be.

    name, data_dir, split: which prepared set.
    size: side of the images in pixels.
    batch: rows of a GLOBAL batch.
    captions: K captions an image; 0 for a training without text.
    replace: draw captions with replacement.
    truncate: captions longer than the tokenizer's rows keep their "head", a random window of whole
      "sentences" (narratives), or a "thin" random subset of their words (word tokenizer; AttnGAN).
      Only where batches carry tokens: sentence vectors stand for whole captions.
    text: "tokens", or "embeddings" stored with the records.
    attributes: names of integer attributes that the records have and batches are to hold.
    mismatch: "" (none), "image" (`wrong_images`) or "caption" (`wrong_tokens`), of another class;
      "swapped": `wrong_tokens` are the image's own captions with colours in the wrong places
      (`swapped_colours`), those without colours another class's.
    sampling: "epoch", "class_balanced" or "distinct_classes", see `record_order`; or "auto", by
      class where the set has classes.
    load_ratio, resize, crop, flip, box_crop, reduced: see `transforms.ImageTransform`.
    threads: that read and decode, each a batch at a time; 0: one for each core, at most 16.
    workers: processes that do so instead, with one thread each; 0 for none. They take seconds to
      start: worth it only where many cores wait for Python.
    prefetch: batches made ahead (by each worker process, where there are some).
    seed: of the data order and of every augmentation, 0 <= seed < 2**32.
    """

    name: str = ""
    data_dir: str = ""
    split: str = "train"
    size: int = 64
    batch: int = 64
    captions: int = 1
    replace: bool = False
    truncate: str = "head"
    text: str = "tokens"
    attributes: tuple[str, ...] = ()
    mismatch: str = ""
    sampling: str = "epoch"
    load_ratio: float = 76 / 64
    resize: str = "square"
    crop: str = "random"
    flip: bool = True
    box_crop: bool = False
    reduced: bool = True
    threads: int = 0
    workers: int = 0
    prefetch: int = 2
    seed: int = 0

    def __post_init__(self):
        for field, allowed in (
            ("truncate", captions.TRUNCATIONS),
            ("text", TEXTS),
            ("mismatch", MISMATCHES),
            ("sampling", (record_order.AUTO, *record_order.SAMPLINGS)),
            ("resize", transforms.RESIZES),
            ("crop", transforms.CROPS),
        ):
            check_choice(f"data.{field}", getattr(self, field), allowed)
        for field, least in (
            ("size", 1),
            ("batch", 1),
            ("captions", 0),
            ("load_ratio", 1),
            ("threads", 0),
            ("workers", 0),
            ("prefetch", 1),
            ("seed", 0),
        ):
            if getattr(self, field) < least:
                raise ValueError(f"data.{field}={getattr(self, field)}: must be at least {least}")
        if self.seed >= 2**32:
            raise ValueError(f"data.seed={self.seed}: must be below 2**32")
        if self.crop == "none" and self.resize == "short_side":
            raise ValueError(
                "data.resize='short_side' leaves oblongs, so data.crop cannot be 'none'; "
                "crop='center' with load_ratio=1 cuts off the least"
            )
        if self.mismatch in ("caption", "swapped") and self.captions == 0:
            raise ValueError(f"data.mismatch={self.mismatch!r} needs data.captions > 0")
        if self.mismatch == "swapped" and self.text == "embeddings":
            raise ValueError("data.mismatch='swapped' changes captions: set data.text='tokens'")
        if self.mismatch == "swapped" and self.truncate == "thin":
            raise ValueError(
                "data.mismatch='swapped' changes words that data.truncate='thin' may leave out: "
                "set data.truncate='head'"
            )

    @property
    def title(self) -> str:
        """The split's name in messages, e.g. ``cub/train``."""
        return f"{self.name or 'data set'}/{self.split}"

    @property
    def image_transform(self) -> transforms.ImageTransform:
        """The part of the options that makes an image."""
        names = [field.name for field in dataclasses.fields(transforms.ImageTransform)]
        return transforms.ImageTransform(**{name: getattr(self, name) for name in names})
