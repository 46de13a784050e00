"""CUB-200-2011 with Reed's captions: the user's folders, as the papers' archives leave them.

The class-disjoint split comes from StackGAN's pickles or from Reed's class lists, the official one
from the data set's own ``train_test_split.txt``.
"""

import pathlib
from collections.abc import Sequence

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Box, Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem

IMAGES_AT = "https://www.vision.caltech.edu/datasets/cub_200_2011/ (CUB_200_2011.tgz)"
CAPTIONS_AT = (
    "birds.zip, linked from https://github.com/taoxugit/AttnGAN (text.zip inside), or Reed's "
    "archive, linked from https://github.com/reedscot/cvpr2016"
)
PREFIXES = ("", "birds", "cub", "cub_icml", "CUB_200_2011", "birds/CUB_200_2011")
VECTORS = "char-CNN-RNN-embeddings.pickle"


def read(source: pathlib.Path, kind: str, embeddings: bool = False) -> Layout:
    """The splits of a CUB folder.

    kind: "disjoint" (150 training classes, 50 test classes) or "official".
    embeddings: also give each record its char-CNN-RNN sentence vectors.

    Raises:
      MissingSource: images, captions or the lists of the split are not there.
    """
    images = files.need(
        source,
        files.under(("CUB_200_2011", "birds/CUB_200_2011", "cub/CUB_200_2011", ""), ["images"]),
        "The bird photos",
        IMAGES_AT,
    )
    texts = files.need(
        source, files.under(PREFIXES, ["text_c10", "text"]), "The captions", CAPTIONS_AT
    )
    layout = Layout({})
    boxes = _boxes(images.parent, layout)
    layout.label_names = _class_names(images, layout.problems)

    def raws(names: Sequence[str], labels: Sequence[int], vectors=None) -> list[Raw]:
        return [
            Raw(
                id=names[i],
                filename=f"{names[i]}.jpg",
                image=images / f"{names[i]}.jpg",
                captions=texts / f"{names[i]}.txt",
                label=labels[i],
                box=boxes.get(names[i]),
                embeddings=None if vectors is None else vectors[i],
            )
            for i in files.unique(names, "split list", layout.problems)
        ]

    if kind == "official":
        splits = _official(images.parent, layout.problems)
        pickled = {}
    else:
        splits, pickled = _disjoint(source, images, layout.problems)
    for split, names in splits.items():
        labels = _labels(names, pickled.get(split), layout.problems)
        vectors = _vectors(source, split, names, split in pickled) if embeddings else None
        records = raws(names, labels, vectors)
        layout.splits[split] = Split(records, len(records))
    return layout


def _boxes(root: pathlib.Path, layout: Layout) -> dict[str, Box]:
    """{image name: box} from ``bounding_boxes.txt``; empty, with a note, where that is missing."""
    if not (root / "bounding_boxes.txt").exists() or not (root / "images.txt").exists():
        layout.notes.append(f"no images.txt and bounding_boxes.txt in {root}: no boxes are stored")
        return {}
    names = files.table(root / "images.txt", 1, layout.problems)
    rows = files.table(root / "bounding_boxes.txt", 4, layout.problems)
    return {
        name.removesuffix(".jpg"): tuple(float(v) for v in rows[key])
        for key, (name,) in names.items()
        if key in rows
    }


def _class_names(images: pathlib.Path, problems: list[Problem]) -> list[str]:
    """Names by label, "Black footed Albatross" at 0: of ``classes.txt``, else of the folders."""
    listed = images.parent / "classes.txt"
    if listed.exists():
        folders = [name for (name,) in files.table(listed, 1, problems).values()]
    else:
        folders = [p.name for p in images.iterdir() if p.name[:3].isdigit()]
    numbered = {_class_of(f): f.split(".", 1)[-1].replace("_", " ") for f in folders}
    return [numbered.get(i, f"class {i + 1}") for i in range(max(numbered, default=-1) + 1)]


def _class_of(name: str) -> int:
    """The 0-based class of "002.Laysan_Albatross/..."."""
    number = name.split(".", 1)[0]
    if not number.isdigit():
        raise DataError(f"{name!r} is not in a folder that begins with its class number")
    return int(number) - 1


def _official(root: pathlib.Path, problems: list[Problem]) -> dict[str, list[str]]:
    for name in ("images.txt", "train_test_split.txt"):
        files.need(root, [name], "The official split", IMAGES_AT)
    names = files.table(root / "images.txt", 1, problems)
    side = files.table(root / "train_test_split.txt", 1, problems)
    splits: dict[str, list[str]] = {"train": [], "test": []}
    for key, (name,) in names.items():
        if key not in side:
            problems.append(Problem("skipped", "image", "not in train_test_split.txt", name))
            continue
        splits["train" if side[key] == ["1"] else "test"].append(name.removesuffix(".jpg"))
    return splits


def _disjoint(
    source: pathlib.Path, images: pathlib.Path, problems: list[Problem]
) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
    """Names by split, and the class ids beside them where the lists are pickles."""
    lists = files.find(source, files.under(PREFIXES, ["train/filenames.pickle"]))
    if lists is not None:
        root, names, classes = lists.parent.parent, {}, {}
        for split in ("train", "test"):
            path = root / split / "filenames.pickle"
            if not path.exists():
                continue
            names[split] = files.pickled_names(path)
            info = path.parent / "class_info.pickle"
            if info.exists():
                classes[split] = files.pickled_classes(info, len(names[split]))
        return names, classes
    train = files.need(
        source,
        files.under(PREFIXES, ["trainvalclasses.txt"])
        + files.under(PREFIXES, ["train/filenames.pickle"]),
        "The class-disjoint split",
        CAPTIONS_AT + '; or ask for the data set\'s own split with split_kind "official"',
    )
    splits = {}
    for split, path in (("train", train), ("test", train.parent / "testclasses.txt")):
        if not path.exists():
            continue
        splits[split] = []
        for folder in files.lines(path, problems):
            if not (images / folder).is_dir():
                problems.append(Problem("skipped", "list", "class folder missing", folder))
                continue
            photos = sorted(p.name for p in (images / folder).iterdir() if p.suffix == ".jpg")
            splits[split].extend(f"{folder}/{p.removesuffix('.jpg')}" for p in photos)
    return splits, {}


def _labels(names: list[str], classes: list[int] | None, problems: list[Problem]) -> list[int]:
    labels = [_class_of(name) for name in names]
    for name, label, given in zip(names, labels, classes or (), strict=False):
        if given != label + 1:
            reason = "class_info differs from the folder: the folder counts"
            problems.append(Problem("repaired", "list", reason, name))
    return labels


def _vectors(source: pathlib.Path, split: str, names: list[str], pickled: bool):
    """Sentence vectors in the order of `names`: StackGAN's pickle, or Reed's file per image."""
    path = files.find(source, files.under(PREFIXES, [f"{split}/{VECTORS}"]))
    if path is not None and pickled:
        return files.pickled_vectors(path, len(names))
    probe = files.need(
        source,
        files.under(PREFIXES, [f"{split}/{VECTORS}", f"{names[0]}.t7", f"text_c10/{names[0]}.t7"]),
        "The sentence vectors",
        CAPTIONS_AT + " (char-CNN-RNN-embeddings.pickle is in StackGAN's birds.zip)",
    )
    if probe.suffix != ".t7":
        raise DataError(f"{probe} can't be aligned: train/filenames.pickle is missing beside it")
    root = pathlib.Path(str(probe).removesuffix(f"{names[0]}.t7"))
    return [root / f"{name}.t7" for name in names]
