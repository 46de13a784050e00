"""Reading a file of a source: whatever is wrong with it has a short name."""

import os

import pytest

from t2i_jax.data import file_kinds, source_files

from .disk_sources import jpeg, write


def odd(tmp_path, kind: str):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "below a file":
        path = write(path, b"1") / "y"
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(source_files.LARGEST + 1)
    elif kind == "long":
        path = tmp_path / ("x" * 300)
    elif kind in ("\0", "\ud83d"):
        path = tmp_path / kind
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "missing"),
        ("dangling", "missing"),
        ("below a file", "missing"),
        ("\0", "missing"),
        ("\ud83d", "missing"),
        ("folder", "is a folder"),
        ("pipe", "is no regular file"),
        ("loop", "unreadable: Too many levels of symbolic links"),
        ("long", "unreadable: File name too long"),
        ("huge", "is larger than 1 GiB"),
    ],
)
def test_what_cannot_be_read_says_why(kind, reason, tmp_path):
    with pytest.raises(source_files.Unreadable) as caught:
        source_files.read(odd(tmp_path, kind))
    assert str(caught.value) == reason


def test_forbidden_files_say_so(tmp_path, monkeypatch):
    path = write(tmp_path / "x", b"1")

    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "read_bytes", forbidden)
    with pytest.raises(source_files.Unreadable, match="unreadable: Permission denied"):
        source_files.read(path)


@pytest.mark.parametrize(
    "name", [".DS_Store", "._a.jpg", "__MACOSX", "Thumbs.db", ".ipynb_checkpoints", "desktop.ini"]
)
def test_litter_of_systems_is_hidden(name):
    assert source_files.hidden(name)


@pytest.mark.parametrize("name", ["a.jpg", "_a.jpg", "thumbs.jpg", "MACOSX", "a.DS_Store.png", "~"])
def test_data_are_not_hidden(name):
    assert not source_files.hidden(name)


def test_names_that_are_not_utf8_become_text():
    for raw, text in (
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        (b"\xff", "\\xff"),
        (b"a b.jpg", "a b.jpg"),
    ):
        assert source_files.file_text(os.fsdecode(raw)) == text
    assert source_files.file_text("\ud83d.jpg") == "\\ud83d.jpg"
    assert source_files.file_text("红.jpg") == "红.jpg"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\0" * 5000, "nothing but zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS pointer"),
        (b"/annex/objects/SHA256E-s1--a.jpg\n", "git-annex pointer"),
        (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        ("\ufeff<HTML><body>".encode(), "web page"),
        ("<html><body>".encode("utf-16"), "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML document"),
        (b'<?xml version="1.0"?><svg xmlns="">', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04" + b"x" * 40, "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\0\0\0\x18ftypheic\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0", "video"),
        (b"\x00\x05\x16\x07\x00\x02", "resource file of macOS"),
        (jpeg()[:30], "cut short"),
        (jpeg(form="PNG")[:12], "cut short"),
        (jpeg(form="WEBP")[:14], "cut short"),
        (b"some words", "not an image"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data, reason):
    assert reason in file_kinds.reason(data)
