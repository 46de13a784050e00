"""What a file is that should be an image and cannot be read as one: the true reason, in words."""

import struct

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_POINTERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: git lfs pull gets it"),
    (b"/annex/objects/", "a git-annex pointer, not the file itself: git annex get gets it"),
    (b"../.git/annex/", "a git-annex pointer, not the file itself: git annex get gets it"),
)
_BEGINNINGS = (
    *_POINTERS,
    (b"%PDF", "a PDF document, not an image"),
    (b"%!PS", "a PostScript document, not an image"),
    (b"PK\x03\x04", "a ZIP archive, not an image"),
    (b"\x1f\x8b", "a gzip archive, not an image"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive, not an image"),
    (b"Rar!", "a RAR archive, not an image"),
    (b"\x00\x05\x16\x07", "a resource file of macOS, not an image"),
    (b"\x1a\x45\xdf\xa3", "a video, not an image"),
    (b"\x93NUMPY", "an array of NumPy, not an image"),
)
# Images that begin rightly, so that what is wrong with them lies behind.
_IMAGES = (
    *(b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    *(b"\x00\x00\x00\x0cjP", b"\xff\x4f\xff\x51", b"qoif", b"8BPS"),
)
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def reason(data: bytes) -> str:
    """Why bytes that no image reader knows are no image: a short phrase to count by."""
    if not data:
        return "empty file"
    if not data.strip(b"\0"):
        return "nothing but zero bytes: the download is incomplete"
    for start, kind in _BEGINNINGS:
        if data.startswith(start):
            return kind
    if data[4:8] == b"ftyp":
        if data[8:12] == b"avif":
            return "cut short or damaged"
        kind = "a HEIC picture: convert it to JPEG" if data[8:12] in _HEIC else "a video"
        return f"{kind}, not readable here"
    if data.startswith(_IMAGES) or data[:4] + data[8:12] == b"RIFFWEBP":
        return "cut short or damaged"
    head = data[:1024].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").replace(b"\0", b"").lower()
    if b"<svg" in head:
        return "an SVG drawing: convert it to PNG"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page, not an image"
    if head.startswith(b"<?xml"):
        return "an XML document, not an image"
    return "not an image"


def pointer(data: bytes) -> str:
    """What stands in place of a file that a repository keeps elsewhere; "" for all else."""
    return next((kind for start, kind in _POINTERS if data.startswith(start)), "")


def without_texts(data: bytes) -> bytes:
    """A PNG file without its texts: a reader may refuse a picture because of their size."""
    if not data.startswith(_SIGNATURE):
        return data
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if kind not in _TEXTS:
            kept.append(chunk)
        at += 12 + length
    return b"".join(kept)
