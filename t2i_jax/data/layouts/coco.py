"""MS-COCO captions, 2014 and 2017: the official folders, or the AttnGAN family's.

The 2017 edition divides the same pictures anew, under the same ids.
"""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem

GET = (
    "http://images.cocodataset.org/zips/{train,val}{2014,2017}.zip and "
    "http://images.cocodataset.org/annotations/annotations_trainval{2014,2017}.zip"
)
PREFIXES = ("", "coco", "COCO", "mscoco")
# AttnGAN's metadata, by the names of its folders: 34 images of val2014 are missing in it.
ATTN_GAN = {"train": ("train", 82783), "test": ("val", 40470)}


def read(source: pathlib.Path, images: pathlib.Path | None, year: str) -> Layout:
    """The splits "train" and "val" (as far as they are there) of an edition.

    images: where the picture folders are, if not in the source.
    year: "2014" or "2017".

    Raises:
      MissingSource: neither ``captions_*.json`` nor AttnGAN's lists, or no pictures.
      DataError: an annotation file of another structure.
    """
    layout = Layout({})
    missing = None
    for split in ("train", "val"):
        name = f"captions_{split}{year}.json"
        path = files.find(source, files.under(PREFIXES, [f"annotations/{name}", name]))
        if path is None:
            continue
        try:
            folder = picture_folder(images or source, f"{split}{year}")
        except files.MissingSource as error:  # the annotations' archive has both splits
            layout.problems.append(Problem("skipped", "split", "no folder of pictures", split))
            missing = error
            continue
        records = list(_from_json(path, folder, layout.problems))
        layout.splits[split] = Split(records, len(records))
    if layout.splits:
        return layout
    if missing:
        raise missing
    wanted = [f"annotations/captions_{split}{year}.json" for split in ("train", "val")]
    if year == "2014":
        wanted += ["train/filenames.pickle", "test/filenames.pickle"]
    files.need(source, files.under(PREFIXES, wanted), "COCO's captions", GET)
    return _attn_gan(source, images or source, layout)


def picture_folder(root: pathlib.Path, name: str) -> pathlib.Path:
    """The folder of an edition's pictures, such as ``val2014``.

    Raises:
      MissingSource: there is none.
    """
    # The innermost first: GALIP's images/<name>/jpg is inside a folder of the right name.
    tails = [f"images/{name}/jpg", f"images/{name}", name, "images"]
    return files.need(root, files.under(PREFIXES, tails), f"The pictures of {name}", GET)


def _from_json(path: pathlib.Path, folder: pathlib.Path, problems: list[Problem]) -> Iterator[Raw]:
    """One record an image, captions in the file's order."""
    data = _load(path)
    captions: dict[int, list[str]] = {}
    seen: set[int] = set()
    for annotation in data["annotations"]:
        if annotation["id"] in seen:
            where = f"{path.name}: annotation {annotation['id']}"
            problems.append(Problem("skipped", "caption", "duplicate id", where))
            continue
        seen.add(annotation["id"])
        captions.setdefault(annotation["image_id"], []).append(annotation["caption"])
    images: set[int] = set()
    for image in data["images"]:
        number, name = image["id"], image["file_name"]
        if number in images:
            where = f"{path.name}: image {number}"
            problems.append(Problem("skipped", "image", "duplicate id", where))
            continue
        images.add(number)
        yield Raw(
            id=str(number),
            filename=name,
            image=folder / name.rsplit("/", 1)[-1],
            captions=captions.get(number, ()),
        )
    for number in captions.keys() - images:
        where = f"{path.name}: image {number}"
        problems.append(Problem("skipped", "caption", "of an image that is not listed", where))


def _load(path: pathlib.Path) -> dict[str, Any]:
    fields = {
        "images": {"id": int, "file_name": str},
        "annotations": {"id": int, "image_id": int, "caption": str},
    }
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}); is the download complete?") from None
    for key, needed in fields.items():
        rows = data.get(key) if isinstance(data, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{path}: no list {key!r}; this is not a COCO captions file")
        for i, row in enumerate(rows):
            for field, kind in needed.items():
                if not isinstance(row, dict) or not isinstance(row.get(field), kind):
                    raise DataError(f"{path}: {key}[{i}] has no proper field {field!r}")
    return data


def _attn_gan(source: pathlib.Path, images: pathlib.Path, layout: Layout) -> Layout:
    """The lists of AttnGAN and DF-GAN: names in pickles, captions in one text file an image."""
    texts = files.need(source, files.under(PREFIXES, ["text"]), "The captions", GET)
    layout.expected = {}
    for side, (split, expected) in ATTN_GAN.items():
        path = files.find(source, files.under(PREFIXES, [f"{side}/filenames.pickle"]))
        if path is None:
            continue
        names = files.pickled_names(path)
        folder = picture_folder(images, f"{split}2014")
        records = [
            Raw(
                id=names[i],
                filename=f"{names[i]}.jpg",
                image=folder / f"{names[i]}.jpg",
                captions=texts / f"{names[i]}.txt",
            )
            for i in files.unique(names, f"{side}/filenames.pickle", layout.problems)
        ]
        layout.splits[split] = Split(records, len(records))
        layout.expected[split] = expected
    return layout
