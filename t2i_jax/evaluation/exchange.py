"""Writing samples for other programs: a folder of PNG files, as torch-fidelity and clean-fid read
it, or an .npz with ``arr_0``, as the ADM suite does; with the captions beside them.

``<place>.samples.json`` says of which run, seed and captions they are, and of which classes.
"""

import json
import os
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np
from PIL import Image
from rich.console import Console

from t2i_jax import paths
from t2i_jax.data.prepare_progress import track
from t2i_jax.evaluation.image_sets import CAPTIONS, ImageSet, sidecar
from t2i_jax.training import files

_PART = "part.tmp"


def save(images: ImageSet, place: str, batch_size: int, console: Console | None = None) -> None:
    """Writes all images and captions; those of a folder that are there are not drawn again.

    place: a folder, or a file that ends in .npz, whose captions lie beside it in a .txt.

    Raises ValueError for a folder that holds other files, since who reads it reads them too, and
    for one that holds other samples.
    """
    path = paths.local(place, "samples for other programs")
    told = sidecar(path)
    _check_same(images, path, told)
    path.parent.mkdir(parents=True, exist_ok=True)
    whose = {"identity": images.identity, "labels": images.labels().tolist()}
    files.write(told, json.dumps(whose) + "\n")
    if path.suffix == ".npz":
        _npz(images, path, batch_size, console)
        listed = path.with_suffix(".txt")
    else:
        _folder(images, path, batch_size, console)
        listed = path / CAPTIONS
    if images.captioned:
        captions = (line.replace("\n", " ") for line in images.captions(0, len(images)))
        files.write(listed, "\n".join(captions) + "\n")


def _check_same(images: ImageSet, path: pathlib.Path, told: pathlib.Path) -> None:
    if path.suffix == ".npz" or not path.is_dir() or not any(path.glob("*.png")):
        return
    known = json.loads(told.read_text()) if told.exists() else {}
    if known.get("identity") != json.loads(json.dumps(images.identity)):
        raise ValueError(
            f"{path} holds samples of another run, checkpoint, seed or protocol: name an empty "
            "folder for samples"
        )


def _folder(images: ImageSet, folder: pathlib.Path, batch_size: int, console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i:06d}.png" for i in range(len(images))]
    foreign = sorted({p.name for p in folder.iterdir()} - {*names, CAPTIONS, _PART})
    if foreign:
        raise ValueError(
            f"{folder} holds other files, such as {foreign[0]}: name an empty folder for samples"
        )

    def made() -> Iterator[int]:
        for begin, end in _stretches(len(images), batch_size):
            if not all((folder / name).exists() for name in names[begin:end]):
                for name, image in zip(names[begin:end], images.images(begin, end), strict=True):
                    Image.fromarray(image).save(folder / _PART, format="png")
                    os.replace(folder / _PART, folder / name)
            yield from range(begin, end)

    for _ in track(made(), f"{images.title} written", len(images), console):
        pass


def _npz(images: ImageSet, path: pathlib.Path, batch_size: int, console) -> None:
    """An array is written part by part: it may be larger than the memory."""
    part = path.with_name(f"{path.name}.{os.getpid()}")

    def made(file) -> Iterator[int]:
        for begin, end in _stretches(len(images), batch_size):
            drawn = images.images(begin, end)
            if begin == 0:
                shape = (len(images), *drawn.shape[1:])
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(drawn).tobytes())
            yield from range(begin, end)

    try:
        with (
            zipfile.ZipFile(part, "w") as archive,
            archive.open("arr_0.npy", "w", force_zip64=True) as file,
        ):
            for _ in track(made(file), f"{images.title} written", len(images), console):
                pass
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _stretches(count: int, size: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + size, count)) for begin in range(0, count, size))
