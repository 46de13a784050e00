"""Tiny copies of the data sets' on-disk layouts, made by the tests themselves."""

import io
import json
import pathlib
import pickle

import numpy as np
from PIL import Image

BIRDS = {
    "001.Black_footed_Albatross": [
        "Black_Footed_Albatross_0001_1",
        "Black_Footed_Albatross_0002_2",
    ],
    "002.Laysan_Albatross": ["Laysan_Albatross_0001_3", "Laysan_Albatross_0002_4"],
    "003.Sooty_Albatross": ["Sooty_Albatross_0001_5"],
}
BIRD_SPLITS = {
    "train": ["002.Laysan_Albatross", "003.Sooty_Albatross"],
    "test": ["001.Black_footed_Albatross"],
}


def jpeg(width: int = 48, height: int = 36, mode: str = "RGB", seed: int = 0, form="JPEG") -> bytes:
    """A small image file of smooth colours."""
    noise = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).convert(mode).save(out, form)
    return out.getvalue()


def write(path: pathlib.Path, data: bytes | str) -> pathlib.Path:
    """Writes a file, its folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def captions(name: str, count: int = 10) -> str:
    """A caption file's text."""
    return "".join(f"caption {i} of {name.lower()} .\n" for i in range(count))


def cub(root: pathlib.Path) -> pathlib.Path:
    """CUB with StackGAN's metadata: 3 training and 2 test images."""
    names = [f"{folder}/{stem}" for folder, stems in BIRDS.items() for stem in stems]
    tables = {"images": [], "image_class_labels": [], "bounding_boxes": [], "train_test_split": []}
    for i, name in enumerate(names, 1):
        write(root / f"CUB_200_2011/images/{name}.jpg", jpeg(seed=i))
        write(root / f"text_c10/{name}.txt", captions(name))
        tables["images"].append(f"{i} {name}.jpg")
        tables["image_class_labels"].append(f"{i} {int(name[:3])}")
        tables["bounding_boxes"].append(f"{i} {i}.0 2.0 20.5 {10 + i}.0")
        tables["train_test_split"].append(f"{i} {i % 2}")
    for table, rows in tables.items():
        write(root / f"CUB_200_2011/{table}.txt", "\n".join(rows) + "\n")
    classes = [f"{int(folder[:3])} {folder}\n" for folder in BIRDS]
    write(root / "CUB_200_2011/classes.txt", "".join(classes))
    for split, folders in BIRD_SPLITS.items():
        chosen = [name for name in names if name.split("/")[0] in folders]
        write(root / f"{split}/filenames.pickle", pickle.dumps(chosen, 0))
        ids = [int(name[:3]) for name in chosen]
        write(root / f"{split}/class_info.pickle", pickle.dumps(ids, 0))
    return root


def cub_reed(root: pathlib.Path) -> pathlib.Path:
    """The same with Reed's class lists in place of the pickles."""
    cub(root)
    for split in BIRD_SPLITS:
        for path in (root / split).iterdir():
            path.unlink()
    write(root / "cub_icml/trainvalclasses.txt", "\n".join(BIRD_SPLITS["train"]) + "\n")
    write(root / "cub_icml/testclasses.txt", "\n".join(BIRD_SPLITS["test"]) + "\n")
    return root


def flowers(root: pathlib.Path) -> pathlib.Path:
    """Oxford-102 with Reed's lists: classes 1 and 3 train, class 2 tests; images 1 to 6."""
    labels = [1, 2, 3, 1, 2, 3]
    for i, label in enumerate(labels, 1):
        name = f"image_{i:05d}"
        write(root / f"jpg/{name}.jpg", jpeg(seed=i))
        write(root / f"text_c10/class_{label:05d}/{name}.txt", captions(name))
    write(root / "trainvalclasses.txt", "class_00001\nclass_00003\n")
    write(root / "testclasses.txt", "class_00002\n")
    return root


def coco(root: pathlib.Path, year: str = "2014") -> pathlib.Path:
    """COCO: two training and one validation image, annotations not grouped by image."""
    for split, ids in (("train", (9, 25)), ("val", (42,))):
        prefix = f"COCO_{split}2014_" if year == "2014" else ""
        files = {i: f"{prefix}{i:012d}.jpg" for i in ids}
        for i, name in files.items():
            write(root / f"{split}{year}/{name}", jpeg(seed=i))
        annotations = [
            {"id": 100 * i + n, "image_id": i, "caption": f" A photo {n} of {i}.\n"}
            for n in range(5)
            for i in ids
        ]
        images = [
            {"id": i, "file_name": name, "height": 36, "width": 48} for i, name in files.items()
        ]
        data = {"info": {}, "images": images, "licenses": [], "annotations": annotations}
        write(root / f"annotations/captions_{split}{year}.json", json.dumps(data))
    return root


def attn_gan_coco(root: pathlib.Path) -> pathlib.Path:
    """COCO as AttnGAN lays it out, all pictures in one folder."""
    for side, names in (
        ("train", ["COCO_train2014_000000000009", "COCO_train2014_000000000025"]),
        ("test", ["COCO_val2014_000000000042"]),
    ):
        write(root / f"{side}/filenames.pickle", pickle.dumps(names, 2))
        for i, name in enumerate(names):
            write(root / f"images/{name}.jpg", jpeg(seed=i))
            write(root / f"text/{name}.txt", captions(name, 5))
    return root


def narrative(image_id: str, annotator: int, text: str = "in this image", **fields) -> str:
    """One line of a Localized Narratives file."""
    row = {"dataset_id": "x", "image_id": image_id, "annotator_id": annotator, "caption": text}
    return json.dumps(row | fields) + "\n"


def jsonl(*rows: dict) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)
