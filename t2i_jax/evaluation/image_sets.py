"""Images in a fixed order, of which any stretch can be had by itself: what evaluation streams."""

import hashlib
import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from t2i_jax import paths
from t2i_jax.data import content, decode
from t2i_jax.data.options import DataOptions
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.data.text_files import caption_lines
from t2i_jax.evaluation.held_out import HeldOut, as_seen

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CAPTIONS = "captions.txt"  # beside images that other programs made: one a line, in their order


class ImageSet(Protocol):
    """A list of images.

    title: in words.
    identity: all that the images and captions depend on, JSON types.
    captioned: whether `captions` has any.
    """

    title: str
    identity: Mapping[str, Any]
    captioned: bool

    def __len__(self) -> int: ...

    def images(self, start: int, stop: int) -> np.ndarray:
        """uint8 [stop - start, H, W, 3]."""
        ...

    def captions(self, start: int, stop: int) -> list[str]:
        """One caption each."""
        ...

    def labels(self) -> np.ndarray:
        """The class of every image, int [N]; one without classes is a class of its own."""
        ...


class Drawn:
    """Samples of a generator.

    draw: (captions or None, number of the first image, how many) -> uint8 [num, H, W, 3], a
        function of the seed and the image's number.
    count: how many samples.
    texts: their captions: held-out data, a list that is gone through again and again, or None for a
        generator without text.
    identity: of the generator, the seed and the truncation.
    """

    def __init__(
        self,
        draw: Callable[[Sequence[str] | np.ndarray | None, int, int], np.ndarray],
        count: int,
        texts: HeldOut | Sequence[str] | None,
        identity: Mapping[str, Any],
        embedded: bool = False,
    ):
        self._draw, self._count, self._texts, self._embedded = draw, count, texts, embedded
        self.title = f"{count:,} samples"
        self.captioned = texts is not None
        self.identity = {**identity, "captions": described(texts)}

    def __len__(self) -> int:
        return self._count

    def images(self, start: int, stop: int) -> np.ndarray:
        """See `ImageSet`."""
        if self._texts is None:
            texts = None
        elif self._embedded:
            texts = self._texts.embeddings(stop - start, start)
        else:
            texts = self.captions(start, stop)
        return self._draw(texts, start, stop - start)

    def captions(self, start: int, stop: int) -> list[str]:
        """See `ImageSet`."""
        if isinstance(self._texts, HeldOut):
            return self._texts.captions(stop - start, start)
        return [self._texts[i % len(self._texts)] for i in range(start, stop)]

    def labels(self) -> np.ndarray:
        """See `ImageSet`."""
        if isinstance(self._texts, HeldOut):
            return self._texts.labels(self._count)
        if self._texts is None:
            return np.arange(self._count)
        return _by_caption(self.captions(0, self._count))


class Photos:
    """Real images of a split, as training saw them, without what was random in that.

    count: at most so many, spread over the split; None: all.
    size: side in pixels; None: that of the options.
    mirrored: every image turned left to right.
    """

    captioned = True

    def __init__(
        self,
        options: DataOptions,
        source: PreparedSplit,
        count: int | None = None,
        mirrored: bool = False,
    ):
        self._source, self._transform, self._mirrored = source, as_seen(options), mirrored
        count = len(source) if count is None else min(count, len(source))
        self._order = np.linspace(0, len(source) - 1, count).astype(int)
        self.split = source.info["split"]
        self.title = f"{count:,} real images of {options.name}/{self.split}"
        self.identity = {
            "data": f"{options.name}/{self.split}",
            "content": content.digest(content.table(source)),
            "transform": repr(self._transform),
            "mirrored": mirrored,
        }

    def __len__(self) -> int:
        return len(self._order)

    def images(self, start: int, stop: int) -> np.ndarray:
        """See `ImageSet`."""
        records = (self._source[int(i)] for i in self._order[start:stop])
        found = np.stack([self._transform(r["image"], r.get("bbox"), None) for r in records])
        return found[:, :, ::-1] if self._mirrored else found

    def captions(self, start: int, stop: int) -> list[str]:
        """The first caption of each record."""
        return [next(iter(self._source[int(i)]["captions"]), "") for i in self._order[start:stop]]

    def labels(self) -> np.ndarray:
        """See `ImageSet`."""
        labels = np.asarray(self._source.labels)[self._order]
        return np.where(labels < 0, max(labels.max(), -1) + 1 + self._order, labels)


class HeldOutPhotos:
    """The real images of held-out samples, each once: what samples of the same captions are held
    against.
    """

    captioned = True

    def __init__(self, held_out: HeldOut, count: int):
        self._held_out, self._count = held_out, min(count, len(held_out))
        self.title = f"{self._count:,} real images of {held_out.title}"
        self.identity = {"real": True, "captions": held_out.identity}

    def __len__(self) -> int:
        return self._count

    def images(self, start: int, stop: int) -> np.ndarray:
        """See `ImageSet`."""
        return self._held_out.images(stop - start, start)

    def captions(self, start: int, stop: int) -> list[str]:
        """See `ImageSet`."""
        return self._held_out.captions(stop - start, start)

    def labels(self) -> np.ndarray:
        """See `ImageSet`."""
        return self._held_out.labels(self._count)


class Files:
    """Images that another program made: a folder of image files in the order of their names, or an
    .npz with uint8 [N, H, W, 3] in ``arr_0``, as the ADM suite reads it.

    count: the first so many; None: all.

    Raises FileNotFoundError and ValueError for a path without images and for fewer than `count`.
    """

    def __init__(self, place: str, count: int | None = None):
        path = paths.local(place, "images to evaluate")
        self._array: np.ndarray | None = None
        if path.suffix == ".npz":
            self._array = _npz(path)
            names, listed = range(len(self._array)), path.with_suffix(".txt")
        else:
            names, listed = _image_files(path), path / CAPTIONS
        if not len(names):
            raise ValueError(f"{place}: no images in it ({', '.join(SUFFIXES)})")
        if count is not None and count > len(names):
            raise ValueError(f"{place} has {len(names):,} images; {count:,} are needed")
        self._names = names[: count or len(names)]
        self._size: tuple[int, ...] | None = None
        self._captions = caption_lines(listed) if listed.exists() else None
        self.captioned = self._captions is not None
        if self.captioned and len(self._captions) < len(self._names):
            raise ValueError(
                f"{listed} has {len(self._captions):,} captions for {len(self._names):,} images"
            )
        told = sidecar(path)
        self._labels = json.loads(told.read_text())["labels"] if told.exists() else None
        self.title = f"{len(self._names):,} images of {place}"
        self.identity = {"images": place, "content": self._content()}

    def __len__(self) -> int:
        return len(self._names)

    def images(self, start: int, stop: int) -> np.ndarray:
        """See `ImageSet`. Raises ValueError for a file that is no image or of another size."""
        if self._array is not None:
            return np.asarray(self._array[start:stop])
        return np.stack([self._read(path) for path in self._names[start:stop]])

    def captions(self, start: int, stop: int) -> list[str]:
        """See `ImageSet`."""
        return self._captions[start:stop]

    def labels(self) -> np.ndarray:
        """Those written with samples of ours; else images of one caption are one class."""
        if self._labels is not None:
            return np.array(self._labels[: len(self)])
        if self._captions is None:
            return np.arange(len(self))
        return _by_caption(self._captions[: len(self)])

    def _read(self, path: pathlib.Path) -> np.ndarray:
        try:
            image = decode.decode_rgb(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self._size = self._size or image.shape
        if image.shape != self._size:
            (height, width), (h, w) = image.shape[:2], self._size[:2]
            raise ValueError(
                f"{path} has {width} x {height} pixels, those before it {w} x {h}: images of a "
                "generator have one size"
            )
        return image

    def _content(self) -> str:
        total = hashlib.sha256(repr(self._captions).encode())
        if self._array is not None:
            for image in self._array:
                total.update(image.tobytes())
        else:
            for path in self._names:
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()[:16]


def sidecar(place: pathlib.Path) -> pathlib.Path:
    """What is known of samples that this library wrote, beside their folder or file."""
    return place.with_name(f"{place.name}.samples.json")


def _by_caption(captions: Sequence[str]) -> np.ndarray:
    """Equal captions are one class."""
    known = {caption: i for i, caption in enumerate(dict.fromkeys(captions))}
    return np.array([known[caption] for caption in captions])


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: neither a folder of images nor an .npz file")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _npz(path: pathlib.Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as found:
            array = found["arr_0"]
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: no images in 'arr_0' ({error})") from error
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
        raise ValueError(f"{path}: 'arr_0' is {array.dtype} {array.shape}, not uint8 [N, H, W, 3]")
    return array


def described(texts: HeldOut | Sequence[str] | None) -> Any:
    if texts is None:
        return None
    if isinstance(texts, HeldOut):
        return texts.identity
    return {"list": hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16], "rule": "in turn"}
