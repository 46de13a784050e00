"""MS-COCO captions, 2014 and 2017: the official folders, or the AttnGAN family's.

The 2017 edition divides the same pictures anew, under the same ids.
"""

import pathlib
import re
from collections.abc import Iterator
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.text_files import decode, parse_json
from t2i_jax.data.values import is_nothing, whole_number

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
    return files.need_folder(root, files.under(PREFIXES, tails), f"The pictures of {name}", GET)


def _from_json(
    path: pathlib.Path, folder: pathlib.Path, problems: list[Problem]
) -> Iterator[Raw | Problem]:
    """One record an image, captions in the file's order."""
    data = _load(path, problems)
    captions = _captions(data["annotations"], path.name, problems)
    seen: dict[int, str] = {}
    for i, row in enumerate(data["images"]):
        where = f"{path.name}: images[{i}]"
        row = row if isinstance(row, dict) else {}
        number, name = whole_number(row.get("id")), row.get("file_name")
        if number is None or not isinstance(name, str) or is_nothing(name):
            field = "id" if number is None else "file_name"
            yield Problem("skipped", "record", f"no proper field {field!r}", where)
            continue
        if number in seen:
            same = "duplicate id" if seen[number] == name else files.CONTRADICTION
            problems.append(Problem("skipped", "image", same, where))
            continue
        seen[number] = name
        yield Raw(
            id=str(number),
            filename=name,
            image=folder / re.split(r"[/\\]", name)[-1],
            captions=captions.get(number, ()),
            where=where,
        )
    for number in captions.keys() - seen.keys():
        where = f"{path.name}: image {number}"
        problems.append(Problem("skipped", "caption", "of an image that is not listed", where))


def _captions(rows: list[Any], file: str, problems: list[Problem]) -> dict[int, list[str]]:
    """{image id: captions}. Annotations need no ids, but one id is one annotation."""
    captions: dict[int, list[str]] = {}
    seen: dict[int, tuple[int, str]] = {}
    for i, row in enumerate(rows):
        where = f"{file}: annotations[{i}]"
        row = row if isinstance(row, dict) else {}
        number, text = whole_number(row.get("image_id")), row.get("caption")
        if number is None or not isinstance(text, str):
            field = "image_id" if number is None else "caption"
            reason = f"no proper field {field!r}"
            problems.append(Problem("skipped", "caption", reason, where))
            continue
        key = whole_number(row.get("id"))
        if key in seen:
            same = "duplicate id" if seen[key] == (number, text) else files.CONTRADICTION
            problems.append(Problem("skipped", "caption", same, where))
            continue
        if key is not None:
            seen[key] = (number, text)
        captions.setdefault(number, []).append(text)
    return captions


def _load(path: pathlib.Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        data = parse_json(decode(path.read_bytes(), path.name, problems))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}); is the download complete?") from None
    for key in ("images", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f"{path}: no list {key!r}; this is not a COCO captions file")
    return data


def _attn_gan(source: pathlib.Path, images: pathlib.Path, layout: Layout) -> Layout:
    """The lists of AttnGAN and DF-GAN: names in pickles, captions in one text file an image."""
    texts = files.need_folder(source, files.under(PREFIXES, ["text"]), "The captions", GET)
    layout.expected = {}
    for side, (split, expected) in ATTN_GAN.items():
        path = files.find(source, files.under(PREFIXES, [f"{side}/filenames.pickle"]))
        if path is None:
            continue
        names = files.pickled_names(path)
        folder = picture_folder(images, f"{split}2014")
        items = [
            _item(names[i], folder, texts)
            for i in files.unique(names, f"{side}/filenames.pickle", layout.problems)
        ]
        layout.splits[split] = Split(items, len(items))
        layout.expected[split] = expected
    return layout


def _item(name: str | Problem, folder: pathlib.Path, texts: pathlib.Path) -> Raw | Problem:
    if isinstance(name, Problem):
        return name
    return Raw(
        id=name,
        filename=f"{name}.jpg",
        image=folder / f"{name}.jpg",
        captions=texts / f"{name}.txt",
    )
