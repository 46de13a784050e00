"""A user's shards of webdataset."""

import gzip
import io
import json
import tarfile

import pytest

from t2i_jax.data import catalog
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError

from .disk_sources import jpeg, write
from .own_photos import shard

PHOTO = jpeg(16, 16)


@pytest.fixture
def prepare(tmp_path):
    """prepare(**options) -> report of the folder "src"."""

    def run(**options):
        source, data = str(tmp_path / "src"), str(tmp_path / "data")
        return catalog.prepare("folder", source, data, overwrite=True, **options)

    return run


def records(tmp_path, split="train"):
    opened = catalog.open_split("folder", str(tmp_path / "data"), split)
    return {opened[i]["image/id"]: opened[i] for i in range(len(opened))}, opened.label_names


def reasons(report):
    return {key[1:]: count for key, count in report.counts.items()}


def test_the_form_of_img2dataset(prepare, tmp_path):
    for number in range(2):
        files = {}
        for i in range(2):
            key = f"{number:05d}{i:04d}"
            meta = {"caption": f"photo {key}", "url": "http://x", "key": key, "status": "success"}
            meta |= {"error_message": None, "width": 16, "height": 16, "exif": "{}", "sha256": "0"}
            files |= {f"{key}.jpg": PHOTO, f"{key}.json": json.dumps(meta)}
            files |= {f"{key}.txt": f"photo {key}"} if number else {}
        shard(tmp_path / f"src/{number:05d}.tar", files)
        write(tmp_path / f"src/{number:05d}.parquet", b"PAR1 of no use here PAR1")
        write(tmp_path / f"src/{number:05d}_stats.json", "{}")
    report = prepare()
    assert report.layout == "webdataset shards" and not report.counts
    assert report.told[:1] == ["layout: webdataset shards (00000.tar, 00001.tar)"]
    found, _ = records(tmp_path)
    assert {name: record["captions"] for name, record in found.items()} == {
        f"{n:05d}.tar/{n:05d}{i:04d}.jpg": [f"photo {n:05d}{i:04d}"]
        for n in range(2)
        for i in range(2)
    }


def test_texts_classes_and_names_with_dots(prepare, tmp_path):
    files = {
        "./a.jpg": PHOTO,
        "./a.txt": "one\ntwo\n",
        "a.cls": "3",
        "v1.5/photo.v2.png": jpeg(16, 16, form="PNG"),
        "v1.5/photo.v2.txt": "with dots",
        "b.depth.png": jpeg(16, 16, form="PNG"),
        "b.jpg": PHOTO,
        "b.json": json.dumps({"text": ["from json"], "label": "boat", "split": "validation"}),
        "c.left.webp": jpeg(16, 16, form="WEBP"),
        "c.txt": b"\xef\xbb\xbfby its key\r\n",
        "._a.jpg": b"x",
        "__MACOSX/a.jpg": b"x",
    }
    shard(tmp_path / "src/000.tar", files)
    report = prepare()
    found, names = records(tmp_path)
    assert {name[8:]: record["captions"] for name, record in found.items()} == {
        "a.jpg": ["one", "two"],
        "v1.5/photo.v2.png": ["with dots"],
        "c.left.webp": ["by its key"],
    }
    (boat,) = records(tmp_path, "val")[0].values()
    assert boat["captions"] == ["from json"] and names[boat["label"]] == "boat"
    assert names[found["000.tar/a.jpg"]["label"]] == "3"
    assert reasons(report) == {
        ("skipped", "record", "another image of the same sample"): 1,
        ("repaired", "list", "Windows line ends"): 1,
        ("repaired", "image", "WEBP file re-encoded"): 1,
    }


def test_members_that_are_not_taken_are_counted(prepare, tmp_path):
    path = shard(
        tmp_path / "src/0.tar",
        {
            "good.jpg": PHOTO,
            "good.txt": "good",
            "../out.jpg": PHOTO,
            "/etc/out.jpg": PHOTO,
            "page.jpg": b"<html>",
            "page.txt": "a page",
            "mute.jpg": PHOTO,
            "bad.jpg": PHOTO,
            "bad.json": "{",
            "alone.txt": "no image",
            "blank.jpg": PHOTO,
            "blank.txt": "\n",
        },
    )
    with tarfile.open(path, "a") as archive:
        again = tarfile.TarInfo("good.jpg")
        again.size = 1
        archive.addfile(again, io.BytesIO(b"x"))
        for kind, name in ((tarfile.SYMTYPE, "link.jpg"), (tarfile.LNKTYPE, "hard.jpg")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    report = prepare()
    assert reasons(report) == {
        ("skipped", "record", "name points outside the archive"): 2,
        ("skipped", "record", "name is twice in the archive: the first counts"): 1,
        ("skipped", "record", "a link or device in the archive, not a file"): 2,
        ("skipped", "record", "a web page, not an image"): 1,
        ("skipped", "caption", "not a JSON object"): 1,
        ("skipped", "caption", "text without an image of the same name"): 1,
        ("skipped", "caption", "empty"): 1,
        ("skipped", "record", "no caption"): 3,
    }
    assert list(records(tmp_path)[0]) == ["0.tar/good.jpg"]
    assert not (tmp_path / "out.jpg").exists() and len(list((tmp_path / "src").iterdir())) == 1


@pytest.mark.parametrize("cut", ["in a file", "between two", "damaged"])
def test_a_shard_that_is_cut_short_keeps_what_is_before(cut, prepare, tmp_path):
    files = {f"{i}.{kind}": data for i in range(4) for kind, data in (("txt", "x"), ("jpg", PHOTO))}
    path = shard(tmp_path / "src/0.tar", files)
    with tarfile.open(path) as archive:
        headers = [member.offset for member in archive]
    data = path.read_bytes()
    third = headers[4]
    if cut == "damaged":
        path.write_bytes(data[:third] + b"\xaa" * 512 + data[third + 512 :])
    else:
        path.write_bytes(data[: third if cut == "between two" else third + 700])
    report = prepare()
    assert report.records == {"train": 2}
    assert reasons(report)["skipped", "list", "archive cut short or damaged"] == 1


def test_splits_by_the_names_of_shards_and_folders(prepare, tmp_path):
    for name in ("birds-train-000000.tar", "validation/000.tar", "test_0.tar", "more.tar"):
        shard(tmp_path / "src" / name, {"a.jpg": PHOTO, "a.txt": name})
    assert prepare().records == {"train": 2, "test": 1, "val": 1}


def test_what_is_no_shard_is_told(prepare, tmp_path):
    path = shard(tmp_path / "src/0.tar.gz", {"a.jpg": PHOTO, "a.txt": "x"})
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(MissingSource, match=r"(?s)has 1 x \.gz\. Wanted.*\.tar files, not com"):
        prepare()
    path.rename(tmp_path / "src/0.tar")
    with pytest.raises(DataError, match="no tar archive, or a compressed one"):
        prepare()
    with pytest.raises(DataError, match="no tar archive"):
        write(tmp_path / "src/0.tar", b"no archive" * 100)
        prepare()
