"""A user's images with a list of Hugging Face's imagefolder, or with text files beside them."""

import json

import pytest

from t2i_jax.data import catalog
from t2i_jax.data.report import DataError

from .disk_sources import jpeg, jsonl, write


@pytest.fixture
def prepare(tmp_path):
    """prepare({name: text or bytes}, images) -> report; images are drawn."""

    def run(files, *images, **options):
        for i, name in enumerate(images):
            write(tmp_path / "src" / name, jpeg(16, 16, seed=i))
        for name, data in files.items():
            write(tmp_path / "src" / name, data)
        source, data = str(tmp_path / "src"), str(tmp_path / "data")
        return catalog.prepare("folder", source, data, overwrite=True, **options)

    return run


@pytest.fixture
def captions(tmp_path):
    """captions(split) -> {id: captions} of what was prepared; labels(split) likewise."""

    def of(split="train", field="captions"):
        opened = catalog.open_split("folder", str(tmp_path / "data"), split)
        return {opened[i]["image/id"]: opened[i][field] for i in range(len(opened))}

    return of


def reasons(report):
    return {key[1:]: count for key, count in report.counts.items()}


@pytest.mark.parametrize(
    "text",
    [
        'file_name,text\na.jpg,"red, and big"\nb.jpg,blue\n',
        'file_name;text\r\na.jpg;"red, and big"\r\nb.jpg;blue\r\n',
        "id\tfile_name\ttext\n1\ta.jpg\tred, and big\n\n2\tb.jpg\tblue\n",
        ' file_name , text\n"a.jpg","red, and big"\nb.jpg,blue',
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_programs_write_them(text, codec, prepare, captions):
    report = prepare({"metadata.csv": text.encode(codec)}, "a.jpg", "b.jpg")
    assert captions() == {"a.jpg": ["red, and big"], "b.jpg": ["blue"]}
    assert report.layout == "imagefolder of Hugging Face" and report.faults == 0


def test_bad_lines_of_a_table_are_counted(prepare, captions):
    lines = [
        "file_name,text,label",
        'a.jpg,"a caption\nof two lines",cat',
        "b.jpg,commas, without quotes,dog",
        "../c.jpg,outside,cat",
        ",no name,cat",
        "missing.jpg,x,cat",
        "c.jpg,,dog",
        "d.jpg,first,7",
        "d.jpg,second,7",
        'e.jpg,"never closed,dog',
        "a.jpg,swallowed,dog",
    ]
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    report = prepare({"metadata.csv": "\n".join(lines)}, *names)
    short = "line with more or fewer columns than the first: text with commas needs quotes"
    assert reasons(report) == {
        ("skipped", "image", short): 2,
        ("skipped", "image", 'field "file_name" points outside the folder'): 1,
        ("skipped", "image", 'field "file_name" is not a file name'): 1,
        ("skipped", "record", "image file missing"): 1,
        ("skipped", "record", "no caption"): 1,
        ("skipped", "caption", "empty"): 1,
        ("repaired", "image", "duplicate id: captions merged"): 1,
        ("repaired", "caption", "line break inside"): 1,
    }
    assert report.examples["", "skipped", "image", short] == [
        f"metadata.csv:{n}" for n in ("4", "11-12")
    ]
    assert captions() == {"a.jpg": ["a caption of two lines"], "d.jpg": ["first", "second"]}
    assert captions(field="label") == {"a.jpg": 1, "d.jpg": 0}
    assert report.notes == ["images in the folder that metadata.csv does not name: 2"]


def test_lists_in_the_folders_of_splits(prepare, captions):
    files = {
        f"{folder}/metadata.jsonl": jsonl({"file_name": "x/1.jpg", "caption": folder})
        for folder in ("train", "Validation", "test")
    }
    files["train/metadata.csv"] = "file_name,text\nx/1.jpg,of the other list\n"
    report = prepare(files, *(f"{name.split('/')[0]}/x/1.jpg" for name in list(files)[:3]))
    assert report.records == {"train": 1, "val": 1, "test": 1} and not report.counts
    assert captions("val") == {"Validation/x/1.jpg": ["Validation"]}
    assert "not used" not in "".join(report.told)


def test_a_column_of_splits_counts_before_folders(prepare):
    rows = [
        {"file_name": f"{i}.jpg", "text": "x", "split": split}
        for i, split in enumerate(("train", "Validation", "testing", None, "restval"))
    ]
    report = prepare({"metadata.jsonl": jsonl(*rows)}, *(row["file_name"] for row in rows))
    assert report.records == {"train": 2, "val": 1, "test": 1, "restval": 1}


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        (("text", "caption"), ["text"]),
        (("caption_1", "caption_0", "url"), ["caption_1", "caption_0"]),
        (("caption", "captions"), ["caption", "captions"]),
        (("prompt", "Description"), ["Description"]),
        (("zh_text", "en_text", "texture"), ["zh_text"]),
    ],
)
def test_columns_of_captions_are_known_by_their_names(fields, used, prepare, captions):
    row = {"file_name": "a.jpg"} | {field: f"of {field}" for field in fields}
    report = prepare({"metadata.jsonl": jsonl(row)}, "a.jpg")
    assert captions()["a.jpg"] == [f"of {field}" for field in used]
    assert ", ".join(used) in report.told[1]
    for field in set(fields) - set(used):
        assert field in report.told[1].split("not used: ")[1]


def test_lists_without_names_or_captions_are_refused(prepare):
    with pytest.raises(DataError, match="has the columns name, text, and no file_name"):
        prepare({"metadata.csv": "name,text\na.jpg,x\n"}, "a.jpg")
    with pytest.raises(DataError, match=r"the columns file_name, mood: none .* caption_0"):
        prepare({"metadata.csv": "file_name,mood\na.jpg,x\n"}, "a.jpg")
    assert prepare({}, "a.jpg", no_captions=True).records == {"train": 1}
    with pytest.raises(DataError, match="no record found"):
        prepare({"metadata.csv": "file_name,text\n"})


def test_texts_beside_images(prepare, captions):
    files = {
        "a.txt": "\ufeffa red bird\r\n\r\nanother line\r\n",
        "deep/b.txt": "caf\xe9".encode("latin-1") + b" wall",
        "c.txt": "",
        "README.txt": "about the photos",
    }
    report = prepare(files, "a.jpg", "deep/b.PNG", "c.jpg", "d.jpg")
    assert report.layout == "text files beside images"
    assert captions() == {"a.jpg": ["a red bird", "another line"], "deep/b.PNG": ["caf wall"]}
    assert reasons(report) == {
        ("repaired", "list", "Windows line ends"): 1,
        ("repaired", "list", "not UTF-8"): 1,
        ("repaired", "caption", "broken character (U+FFFD)"): 1,
        ("skipped", "caption", "empty"): 1,
        ("skipped", "caption", "text file without an image beside it"): 1,
        ("skipped", "record", "no caption"): 2,
    }
    assert prepare({}, no_captions=True).records == {"train": 4}


@pytest.mark.parametrize(
    ("names", "records"),
    [
        (("train/a.jpg", "test/b.jpg"), {"train": 1, "test": 1}),
        (("data/training/a.jpg", "data/valid/b.jpg"), {"train": 1, "val": 1}),
        (("train/car/a.jpg", "eval/a.jpg"), {"train": 1, "test": 1}),
        (("train/a.jpg", "test/b.jpg", "cover.jpg"), {"train": 2, "test": 1}),
        (("train/a.jpg", "car/b.jpg"), {"train": 2}),  # a class called "train"
        (("a.jpg", "test.jpg"), {"train": 2}),
    ],
)
def test_folders_of_splits(names, records, prepare):
    report = prepare({name.replace("jpg", "txt"): "x" for name in names}, *names)
    assert report.records == records
    stray = "beside the folders of the splits: taken for training"
    assert (stray in json.dumps(report.to_json())) == ("cover.jpg" in names)
