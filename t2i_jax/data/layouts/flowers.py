"""Oxford-102 flowers with Reed's captions: the user's folders.

The class-disjoint split comes from Reed's class lists or StackGAN's pickles, the official one from
``setid.mat``. A class is known from the caption's folder, ``class_00001`` to ``class_00102``.
"""

import io
import json
import pathlib
from collections.abc import Mapping

import numpy as np

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem

IMAGES_AT = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ (102flowers.tgz, *.mat)"
CAPTIONS_AT = "Reed's flowers archive, linked from https://github.com/reedscot/cvpr2016"
PREFIXES = ("", "flowers", "flower", "102flowers", "cvpr2016_flowers", "flowers_icml")
VECTORS = "char-CNN-RNN-embeddings.pickle"
OFFICIAL = {"train": "trnid", "val": "valid", "test": "tstid"}
CLASSES = 102


def read(source: pathlib.Path, kind: str, embeddings: bool = False) -> Layout:
    """The splits of a flowers folder.

    kind: "disjoint" (82 training classes, 20 test classes) or "official".
    embeddings: also give each record its char-CNN-RNN sentence vectors.

    Raises:
      MissingSource: images, captions or the lists of the split are not there.
    """
    images = files.need(source, files.under(PREFIXES, ["jpg"]), "The flower photos", IMAGES_AT)
    texts = files.need(
        source, files.under(PREFIXES, ["text_c10", "text"]), "The captions", CAPTIONS_AT
    )
    layout = Layout({}, _class_names(source))
    if kind == "official":
        splits = _official(source)
    else:
        splits = _from_classes(source, texts, layout.problems) or _from_pickles(source)
    for split, labels in splits.items():
        names = list(labels)
        vectors = _vectors(source, split, labels) if embeddings else [None] * len(names)
        records = [
            Raw(
                id=name,
                filename=f"jpg/{name}.jpg",
                image=images / f"{name}.jpg",
                captions=texts / f"class_{labels[name]:05d}" / f"{name}.txt",
                label=labels[name] - 1,
                embeddings=vector,
            )
            for name, vector in zip(names, vectors, strict=True)
        ]
        layout.splits[split] = Split(records, len(records))
    return layout


def _class_names(source: pathlib.Path) -> list[str]:
    """Names by label. They are not part of the data set; a ``cat_to_name.json`` often lies by."""
    path = files.find(source, files.under(PREFIXES, ["cat_to_name.json"]))
    names = {} if path is None else json.loads(path.read_text())
    return [str(names.get(str(i + 1), f"class {i + 1}")) for i in range(CLASSES)]


def _from_classes(
    source: pathlib.Path, texts: pathlib.Path, problems: list[Problem]
) -> dict[str, dict[str, int]]:
    """{split: {image name: class from 1}} by Reed's class lists; empty where there are none."""
    train = files.find(source, files.under(PREFIXES, ["trainvalclasses.txt"]))
    if train is None:
        return {}
    splits: dict[str, dict[str, int]] = {}
    for split, path in (("train", train), ("test", train.parent / "testclasses.txt")):
        if not path.exists():
            continue
        splits[split] = {}
        for folder in files.lines(path, problems):
            number = folder.removeprefix("class_")
            if not number.isdigit():
                raise DataError(f"{path}: expected folder names such as class_00001, not {folder}")
            if not (texts / folder).is_dir():
                problems.append(Problem("skipped", "list", "class folder missing", folder))
                continue
            stems = sorted(p.stem for p in (texts / folder).iterdir() if p.suffix == ".txt")
            splits[split] |= {stem: int(number) for stem in stems}
    return splits


def _from_pickles(source: pathlib.Path) -> dict[str, dict[str, int]]:
    """The same by StackGAN's pickles: names ``jpg/image_06734`` and class ids beside them."""
    train = files.need(
        source,
        files.under(PREFIXES, ["trainvalclasses.txt", "train/filenames.pickle"]),
        "The class-disjoint split",
        CAPTIONS_AT + '; or ask for the data set\'s own split with split_kind "official"',
    )
    splits = {}
    for split in ("train", "test"):
        path = train.parent.parent / split / "filenames.pickle"
        if not path.exists():
            continue
        names = [name.removeprefix("jpg/") for name in files.pickled_names(path)]
        if len(set(names)) != len(names):
            raise DataError(f"{path}: names occur more than once")
        info = files.need(path.parent, ["class_info.pickle"], "The classes", CAPTIONS_AT)
        splits[split] = dict(zip(names, files.pickled_classes(info, len(names)), strict=True))
    return splits


def _official(source: pathlib.Path) -> dict[str, dict[str, int]]:
    from scipy.io import loadmat

    def mat(name: str) -> dict:
        path = files.need(source, files.under(PREFIXES, [name]), "The official split", IMAGES_AT)
        try:
            return loadmat(io.BytesIO(path.read_bytes()))
        except Exception as error:  # scipy's reader raises many kinds
            raise DataError(f"{path}: not a readable MATLAB file ({error})") from None

    labels = mat("imagelabels.mat")["labels"].ravel()
    sets = mat("setid.mat")
    return {
        split: {f"image_{i:05d}": int(labels[i - 1]) for i in sets[key].ravel().tolist()}
        for split, key in OFFICIAL.items()
    }


def _vectors(
    source: pathlib.Path, split: str, labels: Mapping[str, int]
) -> list[np.ndarray] | list[pathlib.Path]:
    """Sentence vectors in the order of `labels`: StackGAN's pickle, or Reed's file per image."""
    path = files.find(source, files.under(PREFIXES, [f"{split}/{VECTORS}"]))
    if path is not None and (path.parent / "filenames.pickle").exists():
        names = [
            n.removeprefix("jpg/") for n in files.pickled_names(path.parent / "filenames.pickle")
        ]
        by_name = dict(zip(names, files.pickled_vectors(path, len(names)), strict=True))
        return [by_name.get(name) for name in labels]
    first, number = next(iter(labels.items()))
    relative = f"class_{number:05d}/{first}.t7"
    probe = files.need(
        source,
        files.under(PREFIXES, [f"{split}/{VECTORS}", relative, f"text_c10/{relative}"])
        + [f"jpg/{first}.t7"],
        "The sentence vectors",
        CAPTIONS_AT + " (char-CNN-RNN-embeddings.pickle is in StackGAN's flowers.zip)",
    )
    if probe.suffix != ".t7":
        raise DataError(f"{probe} can't be aligned: filenames.pickle is missing beside it")
    if not str(probe).endswith(relative):
        return [probe.parent / f"{name}.t7" for name in labels]
    root = probe.parent.parent
    return [root / f"class_{number:05d}" / f"{name}.t7" for name, number in labels.items()]
