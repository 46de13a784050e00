"""Oxford-102 flowers with Reed's captions: the user's folders.

The class-disjoint split comes from Reed's class lists or StackGAN's pickles, the official one from
``setid.mat``. A class is known from the caption's folder, ``class_00001`` to ``class_00102``.
"""

import io
import pathlib
from collections.abc import Mapping

import numpy as np

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.values import whole_number

IMAGES_AT = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ (102flowers.tgz, *.mat)"
CAPTIONS_AT = "Reed's flowers archive, linked from https://github.com/reedscot/cvpr2016"
PREFIXES = ("", "flowers", "flower", "102flowers", "cvpr2016_flowers", "flowers_icml")
VECTORS = "char-CNN-RNN-embeddings.pickle"
OFFICIAL = {"train": "trnid", "val": "valid", "test": "tstid"}
CLASSES = 102
_Row = tuple[str, int] | Problem  # image name and class from 1


def read(source: pathlib.Path, kind: str, embeddings: bool = False) -> Layout:
    """The splits of a flowers folder.

    kind: "disjoint" (82 training classes, 20 test classes) or "official".
    embeddings: also give each record its char-CNN-RNN sentence vectors.

    Raises:
      MissingSource: images, captions or the lists of the split are not there.
      DataError: the disjoint splits share a class.
    """
    images = files.need_folder(
        source, files.under(PREFIXES, ["jpg"]), "The flower photos", IMAGES_AT
    )
    texts = files.need_folder(
        source, files.under(PREFIXES, ["text_c10", "text"]), "The captions", CAPTIONS_AT
    )
    layout = Layout({})
    layout.label_names = _class_names(source, layout.problems)
    if kind == "official":
        splits = _official(source)
    else:
        splits = _from_classes(source, texts, layout.problems) or _from_pickles(source)
    classes, taken = {}, set()
    for split, rows in splits.items():
        labels = _labels(rows, taken, layout.problems)
        classes[split] = {row[1] - 1 for row in rows if not isinstance(row, Problem)}
        names = list(labels)
        vectors = _vectors(source, split, labels) if embeddings else [None] * len(names)
        items: list[Raw | Problem] = [row for row in rows if isinstance(row, Problem)]
        items += [
            Raw(
                id=name,
                filename=f"jpg/{name}.jpg",
                image=images / f"{name}.jpg",
                captions=texts / _folder(labels[name]) / f"{name}.txt",
                label=labels[name] - 1,
                embeddings=vector,
            )
            for name, vector in zip(names, vectors, strict=True)
        ]
        layout.splits[split] = Split(items, len(items))
    if kind == "disjoint":
        files.check_disjoint(classes, layout.label_names)
    return layout


def _folder(number: int) -> str:
    return f"class_{number:05d}"


def _labels(rows: list[_Row], taken: set[str], problems: list[Problem]) -> dict[str, int]:
    """{image name: class from 1}; names that come twice are reported.

    taken: the names of earlier splits, to which those of this one are added.
    """
    labels: dict[str, int] = {}
    for name, number in (row for row in rows if not isinstance(row, Problem)):
        if name in taken:
            reason = "listed in two splits: the first counts"
            problems.append(Problem("skipped", "image", reason, name))
            continue
        if name in labels:
            reason = "duplicate id" if labels[name] == number else files.CONTRADICTION
            problems.append(Problem("skipped", "image", reason, name))
        labels.setdefault(name, number)
    taken.update(labels)
    return labels


def _class_names(source: pathlib.Path, problems: list[Problem]) -> list[str]:
    """Names by label. They are not part of the data set; a ``cat_to_name.json`` often lies by."""
    path = files.find(source, files.under(PREFIXES, ["cat_to_name.json"]))
    names = files.optional_json(path, problems)
    return [str(names.get(str(i + 1), f"class {i + 1}")) for i in range(CLASSES)]


def _from_classes(
    source: pathlib.Path, texts: pathlib.Path, problems: list[Problem]
) -> dict[str, list[_Row]]:
    """The rows by split, by Reed's class lists; empty where there are none."""
    train = files.find(source, files.under(PREFIXES, ["trainvalclasses.txt"]))
    if train is None:
        return {}
    splits: dict[str, list[_Row]] = {}
    for split, path in (("train", train), ("test", train.parent / "testclasses.txt")):
        if not files.is_file(path):
            continue
        splits[split] = []
        for folder in files.lines(path, problems):
            number = whole_number(folder.removeprefix("class_"))
            if number is None or not 1 <= number <= CLASSES:
                raise DataError(
                    f"{path}: expected folder names such as class_00001 (to {CLASSES}), not "
                    f"{folder}"
                )
            if not files.is_folder(texts / _folder(number)):
                problems.append(Problem("skipped", "list", "class folder missing", folder))
                continue
            found = files.entries(texts / _folder(number), ".txt")
            splits[split] += [(name.removesuffix(".txt"), number) for name in found]
    return splits


def _from_pickles(source: pathlib.Path) -> dict[str, list[_Row]]:
    """The same by StackGAN's pickles: names ``jpg/image_06734`` and class ids beside them."""
    train = files.need(
        source,
        files.under(PREFIXES, ["trainvalclasses.txt", "train/filenames.pickle"]),
        "The class-disjoint split",
        CAPTIONS_AT + '; or ask for the data set\'s own split with split_kind "official"',
    )
    splits: dict[str, list[_Row]] = {}
    for split in ("train", "test"):
        path = train.parent.parent / split / "filenames.pickle"
        if not files.is_file(path):
            continue
        names = files.pickled_names(path)
        info = files.need(path.parent, ["class_info.pickle"], "The classes", CAPTIONS_AT)
        numbers = files.pickled_classes(info)
        if len(numbers) != len(names):
            raise DataError(f"{info}: {len(numbers)} class ids for {len(names)} file names")
        splits[split] = [_row(n, k) for n, k in zip(names, numbers, strict=True)]
    return splits


def _row(name: str | Problem, number: int | None) -> _Row:
    if isinstance(name, Problem):
        return name
    if number is None or not 1 <= number <= CLASSES:
        return Problem("skipped", "record", f"no class from 1 to {CLASSES}", name)
    return name.removeprefix("jpg/"), number


def _official(source: pathlib.Path) -> dict[str, list[_Row]]:
    labels = _mat(source, "imagelabels.mat", ["labels"])["labels"]
    sets = _mat(source, "setid.mat", list(OFFICIAL.values()))
    splits: dict[str, list[_Row]] = {split: [] for split in OFFICIAL}
    seen: set[int] = set()
    for split, key in OFFICIAL.items():
        for place, value in enumerate(sets[key].ravel().tolist(), 1):
            where = f"setid.mat: {key}[{place}]"
            i = whole_number(value)
            if i is None or not 1 <= i <= labels.size:
                reason = "number of no image in imagelabels.mat"
                splits[split].append(Problem("skipped", "record", reason, where))
            elif i in seen:
                reason = "listed twice: the first split counts"
                splits[split].append(Problem("skipped", "record", reason, where))
            else:
                seen.add(i)
                number = whole_number(labels.ravel()[i - 1].item())
                splits[split].append(_row(f"image_{i:05d}", number))
    return splits


def _mat(source: pathlib.Path, name: str, keys: list[str]) -> dict[str, np.ndarray]:
    """A MATLAB file's arrays of these names. Raises DataError where it is another file."""
    from scipy.io import loadmat

    path = files.need(source, files.under(PREFIXES, [name]), "The official split", IMAGES_AT)
    try:
        found = loadmat(io.BytesIO(path.read_bytes()))
    except Exception as error:  # scipy's reader raises many kinds
        raise DataError(f"{path}: not a readable MATLAB file ({error})") from None
    for key in keys:
        if key not in found:
            raise DataError(f"{path}: it has no array {key!r}")
    return found


def _vectors(
    source: pathlib.Path, split: str, labels: Mapping[str, int]
) -> list[np.ndarray | None] | list[pathlib.Path]:
    """Sentence vectors in the order of `labels`: StackGAN's pickle, or Reed's file per image."""
    path = files.find(source, files.under(PREFIXES, [f"{split}/{VECTORS}"]))
    if path is not None and files.is_file(path.parent / "filenames.pickle"):
        names = files.pickled_names(path.parent / "filenames.pickle")
        vectors = files.pickled_vectors(path, len(names))
        pairs = zip(names, vectors, strict=True)
        by_name = {n.removeprefix("jpg/"): v for n, v in pairs if isinstance(n, str)}
        return [by_name.get(name) for name in labels]
    if not labels:
        return []
    first, number = next(iter(labels.items()))
    relative = f"{_folder(number)}/{first}.t7"
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
    return [root / _folder(number) / f"{name}.t7" for name, number in labels.items()]
