"""CUB-200-2011 with Reed's captions: the user's folders, as the papers' archives leave them.

The class-disjoint split comes from StackGAN's pickles or from Reed's class lists, the official one
from the data set's own ``train_test_split.txt``.
"""

import pathlib
import re

from t2i_jax.data import source_files
from t2i_jax.data.layouts import files
from t2i_jax.data.records import Box, Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.values import whole_number

IMAGES_AT = "https://www.vision.caltech.edu/datasets/cub_200_2011/ (CUB_200_2011.tgz)"
CAPTIONS_AT = (
    "birds.zip, linked from https://github.com/taoxugit/AttnGAN (text.zip inside), or Reed's "
    "archive, linked from https://github.com/reedscot/cvpr2016"
)
PREFIXES = ("", "birds", "cub", "cub_icml", "CUB_200_2011", "birds/CUB_200_2011")
VECTORS = "char-CNN-RNN-embeddings.pickle"
_Names = list[str | Problem]  # without extension; a Problem in place of what is no name


def read(source: pathlib.Path, kind: str, embeddings: bool = False) -> Layout:
    """The splits of a CUB folder.

    kind: "disjoint" (150 training classes, 50 test classes) or "official".
    embeddings: also give each record its char-CNN-RNN sentence vectors.

    Raises:
      MissingSource: images, captions or the lists of the split are not there.
      DataError: the disjoint splits share a class, or an image is of no known split.
    """
    images = files.need_folder(
        source,
        files.under(("CUB_200_2011", "birds/CUB_200_2011", "cub/CUB_200_2011", ""), ["images"]),
        "The bird photos",
        IMAGES_AT,
    )
    texts = files.need_folder(
        source, files.under(PREFIXES, ["text_c10", "text"]), "The captions", CAPTIONS_AT
    )
    layout = Layout({})
    boxes = _boxes(images.parent, layout)
    layout.label_names = _class_names(images, layout.problems)

    def item(name: str | Problem, label: int | None, vectors) -> Raw | Problem:
        if isinstance(name, Problem):
            return name
        if label is None:
            reason = "not in a folder that begins with its class number"
            return Problem("skipped", "record", reason, name)
        return Raw(
            id=name,
            filename=f"{name}.jpg",
            image=images / f"{name}.jpg",
            captions=texts / f"{name}.txt",
            label=label,
            box=boxes.get(name),
            embeddings=vectors,
        )

    if kind == "official":
        splits, pickled = _official(images.parent, layout.problems), {}
    else:
        splits, pickled = _disjoint(source, images, layout.problems)
    classes = {}
    for split, names in splits.items():
        labels = _labels(names, pickled.get(split), layout.problems)
        classes[split] = set(labels) - {None}
        vectors = _vectors(source, split, names, split in pickled) if embeddings else None
        items = [
            item(names[i], labels[i], None if vectors is None else vectors[i])
            for i in files.unique(names, "split list", layout.problems)
        ]
        layout.splits[split] = Split(items, len(items))
    if kind == "disjoint":
        files.check_disjoint(classes, layout.label_names)
    return layout


def _boxes(root: pathlib.Path, layout: Layout) -> dict[str, Box]:
    """{image name: box} from ``bounding_boxes.txt``; empty, with a note, where that is missing."""
    paths = [root / "images.txt", root / "bounding_boxes.txt"]
    if not all(map(files.is_file, paths)):
        layout.notes.append(f"no images.txt and bounding_boxes.txt in {root}: no boxes are stored")
        return {}
    names = files.table(paths[0], 1, layout.problems)
    rows = files.table(paths[1], 4, layout.problems)
    boxes = {}
    for key, (name,) in names.items():
        if key not in rows:
            continue
        box = files.box(rows[key])
        if box is None:
            layout.problems.append(Problem("repaired", "box", "not four numbers: left out", name))
        else:
            boxes[name.removesuffix(".jpg")] = box
    return boxes


def _class_names(images: pathlib.Path, problems: list[Problem]) -> list[str]:
    """Names by label, "Black footed Albatross" at 0: of ``classes.txt``, else of the folders."""
    listed = images.parent / "classes.txt"
    if files.is_file(listed):
        folders = [name for (name,) in files.table(listed, 1, problems).values()]
    else:
        folders = [p.name for p in images.iterdir() if not source_files.hidden(p.name)]
    numbered = {_class_of(f): f.split(".", 1)[-1].replace("_", " ") for f in folders}
    numbered.pop(None, None)
    return [numbered.get(i, f"class {i + 1}") for i in range(max(numbered, default=-1) + 1)]


def _class_of(name: str) -> int | None:
    """The 0-based class of "002.Laysan_Albatross/..."; None where it has none."""
    number = re.match(r"(\d{1,5})\.", name, re.ASCII)
    return int(number[1]) - 1 if number and int(number[1]) else None


def _official(root: pathlib.Path, problems: list[Problem]) -> dict[str, _Names]:
    listed, sides = (
        files.need(root, [name], "The official split", IMAGES_AT)
        for name in ("images.txt", "train_test_split.txt")
    )
    names = files.table(listed, 1, problems)
    side = files.table(sides, 1, problems)
    splits: dict[str, _Names] = {"test": [], "train": []}
    seen: dict[str, str] = {}
    for key, (name,) in names.items():
        if key not in side:
            problems.append(Problem("skipped", "image", "not in train_test_split.txt", name))
            continue
        value = whole_number(side[key][0])
        if value not in (0, 1):
            raise DataError(
                f"{sides}: the image {key} ({name}) has the value {side[key][0]!r}; 1 (train) and "
                "0 (test) are known"
            )
        split = ("test", "train")[value]
        if seen.setdefault(name, split) != split:
            reason = "listed in both splits: the first counts"
            problems.append(Problem("skipped", "image", reason, name))
            continue
        splits[split].append(_name(name))
    return {split: splits[split] for split in ("train", "test")}


def _name(listed: str) -> str | Problem:
    """An image's name from a list, without extension."""
    name = files.inside(listed)
    if name is None:
        return Problem("skipped", "record", "name points outside the data set", listed)
    return name.removesuffix(".jpg")


def _disjoint(
    source: pathlib.Path, images: pathlib.Path, problems: list[Problem]
) -> tuple[dict[str, _Names], dict[str, list[int | None]]]:
    """Names by split, and the class ids beside them where the lists are pickles."""
    lists = files.find(source, files.under(PREFIXES, ["train/filenames.pickle"]))
    if lists is not None:
        root, names, classes = lists.parent.parent, {}, {}
        for split in ("train", "test"):
            path = root / split / "filenames.pickle"
            if not files.is_file(path):
                continue
            names[split] = files.pickled_names(path)
            info = path.parent / "class_info.pickle"
            if files.is_file(info):
                classes[split] = files.pickled_classes(info)
        return names, classes
    train = files.need(
        source,
        files.under(PREFIXES, ["trainvalclasses.txt"])
        + files.under(PREFIXES, ["train/filenames.pickle"]),
        "The class-disjoint split",
        CAPTIONS_AT + '; or ask for the data set\'s own split with split_kind "official"',
    )
    splits: dict[str, _Names] = {}
    for split, path in (("train", train), ("test", train.parent / "testclasses.txt")):
        if not files.is_file(path):
            continue
        splits[split] = []
        for folder in files.lines(path, problems):
            if files.inside(folder) is None or not files.is_folder(images / folder):
                problems.append(Problem("skipped", "list", "class folder missing", folder))
                continue
            photos = files.entries(images / folder, ".jpg")
            splits[split].extend(f"{folder}/{p.removesuffix('.jpg')}" for p in photos)
    return splits, {}


def _labels(
    names: _Names, classes: list[int | None] | None, problems: list[Problem]
) -> list[int | None]:
    labels = [None if isinstance(name, Problem) else _class_of(name) for name in names]
    if classes is not None and len(classes) != len(names):
        reason = f"class_info has {len(classes)} ids for {len(names)} names: the folders count"
        problems.append(Problem("skipped", "list", reason, "class_info.pickle"))
        return labels
    for name, label, given in zip(names, labels, classes or (), strict=False):
        if label is not None and given != label + 1:
            reason = "class_info differs from the folder: the folder counts"
            problems.append(Problem("repaired", "list", reason, name))
    return labels


def _vectors(source: pathlib.Path, split: str, names: _Names, pickled: bool):
    """Sentence vectors in the order of `names`: StackGAN's pickle, or Reed's file per image."""
    path = files.find(source, files.under(PREFIXES, [f"{split}/{VECTORS}"]))
    if path is not None and pickled:
        return files.pickled_vectors(path, len(names))
    first = next((name for name in names if isinstance(name, str)), None)
    if first is None:
        return None
    probe = files.need(
        source,
        files.under(PREFIXES, [f"{split}/{VECTORS}", f"{first}.t7", f"text_c10/{first}.t7"]),
        "The sentence vectors",
        CAPTIONS_AT + " (char-CNN-RNN-embeddings.pickle is in StackGAN's birds.zip)",
    )
    if probe.suffix != ".t7":
        raise DataError(f"{probe} can't be aligned: train/filenames.pickle is missing beside it")
    root = pathlib.Path(str(probe).removesuffix(f"{first}.t7"))
    return [root / f"{name}.t7" if isinstance(name, str) else None for name in names]
