"""Localized Narratives: JSON lines, joined to the pictures of COCO or Open Images by image id.

One record is one narrative (an image has one to ten, by different annotators), as the papers count
them. The files are told apart by their names.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import Problem
from t2i_jax.data.text_files import open_text, parse_json
from t2i_jax.data.values import is_nothing, whole_number, whole_text

TEXTS_AT = (
    "https://google.github.io/localized-narratives (files below "
    "https://storage.googleapis.com/localized-narratives/annotations/)"
)
PICTURES_AT = {
    "coco": "http://images.cocodataset.org/zips/{train,val}2017.zip",
    "open_images": "the downloader of https://storage.googleapis.com/openimages/web/download.html, "
    "for the image ids of the captions files",
}
# {kind: {split: how the names of its files begin}}
FILES = {
    "coco": {"train": "coco_train", "val": "coco_val"},
    "open_images": {
        "train": "open_images_train_v6",
        "val": "open_images_validation",
        "test": "open_images_test",
    },
}
PREFIXES = ("", "annotations", "localized_narratives", "localized_narratives/annotations")
# Where a picture may be, below the root or a folder "images" in it. COCO's two editions share ids.
_COCO_PLACES = (
    "train2017/{id:012d}.jpg",
    "val2017/{id:012d}.jpg",
    "train2014/COCO_train2014_{id:012d}.jpg",
    "val2014/COCO_val2014_{id:012d}.jpg",
)
_OPEN_IMAGES_FOLDERS = {
    "train": ("train", *(f"train_{c}" for c in "0123456789abcdef")),
    "val": ("validation", "val"),
    "test": ("test",),
}
_HEX = re.compile(r"[0-9a-f]{1,64}")


def read(source: pathlib.Path, images: pathlib.Path | None, kind: str, traces: bool) -> Layout:
    """The splits of which files are there. Records are read as they are asked for.

    images: where the picture folders are, if not in the source.
    kind: "coco" or "open_images".
    traces: also give the words' times and the pointer's path: only the full files have them.

    Raises:
      MissingSource: no file of narratives, or no folder of pictures.
    """
    layout = Layout({})
    root = images or source
    wanted, missing = [], None
    for split, stem in FILES[kind].items():
        found, names = _text_files(source, stem, traces, layout.problems)
        wanted.extend(names)
        if not found:
            continue
        try:
            places = _places(root, kind, split)
        except files.MissingSource as error:
            layout.problems.append(Problem("skipped", "split", "no folder of pictures", split))
            missing = error
            continue
        # The full files are too large to be read for their number of lines.
        total = None if "_localized_" in found[0].name else sum(map(_count_lines, found))
        layout.splits[split] = Split(_Narratives(found, root, places, kind, traces), total)
    if missing and not layout.splits:
        raise missing
    if not layout.splits:
        files.need(source, files.under(PREFIXES, wanted), "The narratives", TEXTS_AT)
    return layout


@dataclasses.dataclass(frozen=True)
class _Narratives:
    """The records of a split's files, one after the other, anew for every iteration."""

    paths: list[pathlib.Path]
    root: pathlib.Path
    places: list[str]
    kind: str
    traces: bool

    def __iter__(self) -> Iterator[Raw | Problem]:
        for path in self.paths:
            with open_text(path) as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield self._record(line, f"{path.name}:{number}")

    def _record(self, line: str, where: str) -> Raw | Problem:
        def skip(reason: str) -> Problem:
            return Problem("skipped", "narrative", reason, where)

        try:
            row = parse_json(line)
        except ValueError:
            return skip("not valid JSON")
        if not isinstance(row, dict):
            return skip("not a JSON object")
        for field in ("image_id", "annotator_id", "caption"):
            value = row.get(field)
            right = isinstance(value, str) or (field != "caption" and _is_number(value))
            if not right or is_nothing(value):
                return skip(f"no proper field {field!r}")
        image_id, annotator = self._image_id(row["image_id"]), whole_number(row["annotator_id"])
        if image_id is None or annotator is None:
            return skip(f"malformed {'image_id' if image_id is None else 'annotator_id'}")
        try:
            extra = _trace_features(row) if self.traces else {}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return skip("malformed traces or times")
        image = self._picture(image_id)
        return Raw(
            id=f"{image_id}_{annotator}",
            filename=image.name,
            image=image,
            captions=(row["caption"],),
            extra=extra,
            where=where,
        )

    def _image_id(self, value: str | int | float) -> str | None:
        if self.kind == "coco":
            number = whole_number(value)
            return str(number) if number is not None and 0 <= number < 10**12 else None
        return value if isinstance(value, str) and _HEX.fullmatch(value) else None

    def _picture(self, image_id: str) -> pathlib.Path:
        """The image's file; where there is none, the place where it was looked for first."""
        key: Any = int(image_id) if self.kind == "coco" else image_id
        paths = [self.root / place.format(id=key) for place in self.places]
        return next((path for path in paths if path.exists()), paths[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _trace_features(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flat arrays of what the full files add; empty where a narrative has no traces.

    traces: float32 [P, 4], a row a point: segment, x, y (fractions of width and height, sometimes a
      little outside 0..1), seconds. utterances: their texts; utterance_times: float32 [U, 2].
    """
    traces, spoken = ([] if is_nothing(row[k]) else row[k] for k in ("traces", "timed_caption"))
    points = [(i, p["x"], p["y"], p["t"]) for i, segment in enumerate(traces) for p in segment]
    times = [(u["start_time"], u["end_time"]) for u in spoken]
    with np.errstate(over="ignore"):
        numbers = {
            "traces": np.asarray(points, np.float32).reshape(-1, 4),
            "utterance_times": np.asarray(times, np.float32).reshape(-1, 2),
        }
    if bad := [name for name, array in numbers.items() if not np.isfinite(array).all()]:
        raise ValueError(f"{' and '.join(bad)} with a number that is missing or not finite")
    texts = ["" if is_nothing(u["utterance"]) else str(u["utterance"]) for u in spoken]
    return {"utterances": [whole_text(text) for text in texts], **numbers}


def _text_files(
    source: pathlib.Path, stem: str, traces: bool, problems: list[Problem]
) -> tuple[list[pathlib.Path], list[str]]:
    """A split's files (the small captions-only one if it will do) and the names looked for."""
    full = f"{stem}_localized_narratives"
    names = [f"{full}.jsonl", f"{full}-00000-of-*.jsonl"]
    if not traces:
        names.insert(0, f"{stem}_captions.jsonl")
        small = files.find(source, files.under(PREFIXES, names[:1]))
        if small is not None:
            return [small], names
    whole = files.find(source, files.under(PREFIXES, [f"{full}.jsonl"]))
    if whole is not None:
        return [whole], names
    for prefix in PREFIXES:
        found = (source / prefix).glob(f"{full}-?????-of-?????.jsonl")
        shards = sorted(path for path in found if files.is_file(path))
        if shards:
            count = whole_number(shards[0].name[-11:-6]) or 0
            complete = [f"{full}-{i:05d}-of-{count:05d}.jsonl" for i in range(count)]
            for name in sorted(set(complete) - {s.name for s in shards}):
                problems.append(Problem("skipped", "list", "shard missing", name))
            return shards, names
    return [], names


def _places(root: pathlib.Path, kind: str, split: str) -> list[str]:
    """Patterns of the paths below `root` where a picture may be, of the folders that exist."""
    if kind == "coco":
        patterns = list(_COCO_PLACES)
        patterns.sort(key=lambda p: not p.startswith(split))  # its own split first
    else:
        patterns = [f"{folder}/{{id}}.jpg" for folder in _OPEN_IMAGES_FOLDERS[split]]
    patterns = files.under(("", "images", "coco", "open_images"), patterns)
    filled = {folder: files.is_folder(folder) for folder in {(root / p).parent for p in patterns}}
    existing = [p for p in patterns if filled[(root / p).parent]]
    if kind == "open_images" and files.is_folder(root / "images"):
        existing.append("images/{id}.jpg")
    if not existing:
        looked = sorted({str((root / p).parent) for p in patterns})
        raise files.MissingSource(
            "The pictures of the narratives not found. Looked for\n"
            + "\n".join(f"  {folder}" for folder in looked)
            + f"\nWhere to get them: {PICTURES_AT[kind]}\n"
            "Pictures in another place than the narratives: --images=DIR."
        )
    return existing


def _count_lines(path: pathlib.Path) -> int:
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")
