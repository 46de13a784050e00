"""Text files of other programs: encodings are recognised, lines end at a line feed alone."""

import codecs
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2i_jax.commands import sample
from t2i_jax.data import catalog, text_files
from t2i_jax.evaluation import trained_run

from . import disk_sources
from .disk_sources import jsonl, write

TEXT = '{"image": "1.jpg", "caption": "a café, 红色的鸟"}\n{"image": "2.jpg"}\n'
MARKED = {
    "utf-8-sig": TEXT.encode("utf-8-sig"),
    "utf-16": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "utf-16 big": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-32": codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    "utf-16-le": TEXT.encode("utf-16-le"),
    "utf-16-be": TEXT.encode("utf-16-be"),
    "utf-8": TEXT.encode(),
}


@pytest.mark.parametrize("kind", MARKED)
def test_encodings_are_recognised(kind, tmp_path):
    problems = []
    lines = text_files.text_lines(MARKED[kind], "x", problems)
    assert lines == TEXT.split("\n")[:-1]
    reasons = [f"{kind[:6].upper()} text"] if "8" not in kind else []
    assert [p.reason for p in problems] == reasons and all(p.action == "kept" for p in problems)
    with text_files.open_text(write(tmp_path / "x", MARKED[kind])) as file:
        assert [line.rstrip("\n") for line in file] == lines


@given(st.text(min_size=1, max_size=200))
def test_texts_in_utf8_stay_what_they_are(text):
    data = text.encode("utf-8", "replace")
    if 0 not in data and data[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        assert text_files.decode(data, "x", []) == data.decode("utf-8-sig")


@pytest.mark.parametrize("inside", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1e", "\r"])
def test_lines_end_at_a_line_feed_alone(inside, tmp_path):
    text = f"one{inside}still one\ntwo\r\n\nthree"
    problems = []
    expected = [f"one{inside}still one", "two", "", "three"]
    assert text_files.text_lines(text.encode(), "x", problems) == expected
    assert [p.reason for p in problems] == ["Windows line ends"]
    with text_files.open_text(write(tmp_path / "x", text)) as file:
        assert [line.rstrip("\n").removesuffix("\r") for line in file] == expected


def test_bytes_of_no_encoding_are_told():
    for data, text, reason in (
        (b"caf\xe9\n\nx", ["caf\ufffd", "", "x"], "not UTF-8"),
        (b"\xff\xfea\0b\0\n\0\x00\xd8", ["ab", "\ufffd"], "not UTF-16"),
        (b"a\n\xff\xff\n", ["a", "\ufffd\ufffd"], "not UTF-8"),
    ):
        problems = []
        assert text_files.text_lines(data, "x", problems) == text
        assert problems[-1].reason == reason


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, '{"a":' * 200_000, "1" * 5000])
def test_json_that_cannot_be_read_is_a_value_error(text):
    with pytest.raises(ValueError):
        text_files.parse_json(text)


def recoded(root, codec: str):
    """Every text file below `root` in another encoding, with Windows line ends."""
    for path in root.rglob("*"):
        if path.suffix in (".txt", ".json", ".jsonl"):
            path.write_bytes(path.read_text().replace("\n", "\r\n").encode(codec))
    return root


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_every_list_of_every_set_is_read_alike(codec, tmp_path):
    def captions(name, source, **options):
        report = catalog.prepare(name, str(source), str(tmp_path / source.name), **options)
        opened = catalog.open_split(name, str(tmp_path / source.name), "train")
        records = [opened[i] for i in range(len(opened))]
        boxes = np.concatenate([r["bbox"] for r in records])
        return report.records, [r["captions"] for r in records], opened.label_names, boxes.tolist()

    flowers = disk_sources.flowers(tmp_path / "flowers")
    write(flowers / "cat_to_name.json", '{"1": "rose"}')
    narratives = disk_sources.coco(tmp_path / "ln", "2017")
    write(narratives / "coco_train_captions.jsonl", disk_sources.narrative("9", 1, "a café"))
    folder = tmp_path / "folder"
    write(folder / "1.jpg", disk_sources.jpeg())
    write(folder / "captions.jsonl", jsonl({"image": "1.jpg", "caption": "a red bird"}))
    for name, source in (
        ("cub", disk_sources.cub_reed(tmp_path / "cub")),
        ("flowers", flowers),
        ("coco", disk_sources.coco(tmp_path / "coco")),
        ("ln_coco", narratives),
        ("folder", folder),
    ):
        before = captions(name, source)
        recoded(source, codec)
        assert captions(name, source, overwrite=True) == before, name


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_captions_for_samples_and_scores_are_read_alike(codec, tmp_path):
    lines = ["a red\u2028bird", "a blue\x0bbird", "a bird"]
    path = str(write(tmp_path / "c.txt", "\r\n \r\n".join(lines).encode(codec)))
    assert text_files.caption_lines(path) == lines
    reads = sample.captions.caption_lines, trained_run.caption_lines
    assert all(read is text_files.caption_lines for read in reads)


def test_json_values_that_python_cannot_print_are_read(tmp_path):
    assert text_files.parse_json(json.dumps({"a": 10**399}))["a"] == 10**399
