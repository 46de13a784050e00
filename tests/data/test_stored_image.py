"""Which bytes are stored of an image: originals where possible, every odd mode as true RGB."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from t2i_jax.data import stored_image
from t2i_jax.data.decode import decode_rgb

from .disk_sources import jpeg


def store(data: bytes, **options) -> stored_image.StoredImage:
    return stored_image.store(stored_image.decode(data), **options)


def saved(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_images_keep_their_bytes(form, mode):
    data = jpeg(mode=mode, form=form)
    stored = store(data)
    assert stored.data == data and not stored.repaired
    assert bool(stored.kept) == (mode == "L")
    assert (stored.width, stored.height, stored.scale) == (48, 36, (1, 1))


def test_cmyk_jpeg_becomes_rgb():
    data = jpeg(mode="CMYK")
    stored = store(data)
    assert stored.repaired == ("CMYK image made RGB",)
    with Image.open(io.BytesIO(stored.data)) as image:
        assert (image.mode, image.format) == ("RGB", "JPEG")
    error = np.abs(decode_rgb(stored.data).astype(int) - decode_rgb(jpeg()).astype(int))
    assert error.mean() < 4


def test_palette_and_transparency_become_rgb_on_white():
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, 4:] = (10, 200, 30, 255)  # the left half is clear
    expected = np.full((8, 8, 3), 255, np.uint8)
    expected[:, 4:] = (10, 200, 30)
    image = Image.fromarray(rgba)
    palette = Image.fromarray(expected).quantize(4)
    clear = palette.getpixel((0, 0))
    for data, reason in (
        (saved(image, "PNG"), "transparent image made RGB"),
        (saved(palette, "PNG"), "palette image made RGB"),
        (saved(palette, "PNG", transparency=clear), "palette image made RGB"),
    ):
        stored = store(data)
        assert stored.repaired == (reason,)
        np.testing.assert_array_equal(decode_rgb(stored.data), expected)


def test_sixteen_bit_png_keeps_its_brightness():
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    stored = store(saved(Image.fromarray(values), "PNG"))
    assert stored.repaired == ("16-bit image made RGB",)
    np.testing.assert_array_equal(decode_rgb(stored.data)[..., 0], values >> 8)


@pytest.mark.parametrize("form", ["WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_become_jpeg(form):
    stored = store(jpeg(form=form))
    assert f"{form} file re-encoded" in stored.repaired
    assert Image.open(io.BytesIO(stored.data)).format == "JPEG"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "a web page, not an image"),
        (jpeg()[:20], "cut short"),
        (jpeg(200, 150)[:-200], "cut short"),
        (jpeg(form="PNG")[:-60], "cut short"),
    ],
)
def test_bad_files_are_refused_with_a_reason(data, reason):
    with pytest.raises(stored_image.BadImage, match=reason):
        stored_image.decode(data)


def tagged(form: str, tag: int) -> bytes:
    """A picture 40 x 20, left half red and right half blue, with an orientation tag."""
    exif = Image.Exif()
    exif[0x0112] = tag
    image = Image.new("RGB", (40, 20), (20, 20, 200))
    image.paste((200, 20, 20), (0, 0, 20, 20))
    return saved(image, form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientation_tags_are_ignored_and_counted(form):
    stored = store(tagged(form, 6), max_side=10)
    assert stored[1:3] == (20, 10)
    assert stored.kept == ("orientation tag ignored, as the papers' loaders do",)
    assert not store(tagged(form, 1)).kept


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("max_side", [None, 10])
def test_orientation_tags_are_followed_on_request(form, max_side):
    picture = stored_image.decode(tagged(form, 6), turn=True)
    stored = stored_image.store(picture, max_side=max_side)
    assert picture.turned and "turned by its orientation tag" in stored.repaired
    image = Image.open(io.BytesIO(stored.data))
    assert image.size == ((20, 40) if max_side is None else (10, 20))
    assert image.getexif().get(0x0112, 1) == 1
    pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels[2, 5, 0] > 150 > 60 > pixels[-3, 5, 0]  # red above blue


def sixteen(mode: str) -> np.ndarray:
    return (np.arange(64 * 48).reshape(48, 64) * 20 + 1000).astype(mode)


def tiff_of(array: np.ndarray) -> bytes:
    return saved(Image.fromarray(array), "TIFF")


def png_of(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def viewer(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


COLOURFUL = Image.open(io.BytesIO(jpeg(form="PNG")))
GRAY = sixteen(np.uint16) >> 8
OPENED = {
    # name: (the file, its pixels)
    "gray and alpha": (saved(COLOURFUL.convert("LA"), "PNG"), COLOURFUL.convert("L")),
    "bilevel": (saved(COLOURFUL.convert("1"), "PNG"), COLOURFUL.convert("1")),
    "16-bit colours": (png_of(sixteen(np.uint16)[..., None].repeat(3, 2)), GRAY),
    "16-bit colours and alpha": (png_of(sixteen(np.uint16)[..., None].repeat(4, 2) | 0xFF), None),
    "16-bit tiff": (tiff_of(sixteen("<u2")), GRAY),
    "16-bit big-endian tiff": (tiff_of(sixteen(">u2")), GRAY),
    "32-bit tiff": (tiff_of(sixteen(np.int32)), GRAY),
    "floats to 1": (tiff_of(sixteen(np.float32) / 65535), sixteen(np.float32) / 65535 * 255),
    "floats to 255": (tiff_of(GRAY.astype(np.float32)), GRAY),
    "cmyk tiff": (saved(COLOURFUL.convert("CMYK"), "TIFF"), COLOURFUL),
    "ycbcr tiff": (saved(COLOURFUL.convert("YCbCr"), "TIFF"), COLOURFUL),
    "palette gif": (saved(COLOURFUL.quantize(255), "GIF"), COLOURFUL.quantize(255)),
    "jpeg 2000": (saved(COLOURFUL, "JPEG2000"), COLOURFUL),
    "avif": (saved(COLOURFUL, "AVIF", quality=95), COLOURFUL),
    "progressive": (saved(COLOURFUL, "JPEG", quality=95, progressive=True), COLOURFUL),
    "two pictures": (saved(COLOURFUL, "MPO", save_all=True, append_images=[COLOURFUL]), COLOURFUL),
    "animation": (saved(COLOURFUL, "PNG", save_all=True, append_images=[COLOURFUL]), COLOURFUL),
    "icon": (saved(COLOURFUL, "ICO", sizes=[(48, 36)]), COLOURFUL),
    "ppm": (saved(COLOURFUL, "PPM"), COLOURFUL),
    "trailing bytes": (saved(COLOURFUL, "JPEG", quality=95) + b"\0" * 999, COLOURFUL),
    "odd metadata": (saved(COLOURFUL, "JPEG", quality=95, exif=b"Exif\0\0nonsense"), COLOURFUL),
    "a long comment": (saved(COLOURFUL, "JPEG", quality=95, comment=b"x" * 65000), COLOURFUL),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_a_viewer_opens_is_kept(name):
    data, expected = OPENED[name]
    stored = store(data)
    if expected is None:
        expected = decode_rgb(stored.data)
    elif isinstance(expected, Image.Image):
        expected = np.asarray(expected.convert("RGB")).astype(float)
    else:
        expected = np.repeat(expected.astype(float)[..., None], 3, axis=2)
    difference = np.abs(decode_rgb(stored.data) - expected)
    assert difference.mean() < 6
    assert Image.open(io.BytesIO(stored.data)).format in ("JPEG", "MPO", "PNG")


def test_lab_colours_become_the_srgb_that_they_are():
    lab = Image.merge("LAB", [Image.new("L", (16, 16), v) for v in (138, 81 + 128, 70 + 128)])
    red = decode_rgb(store(saved(lab, "TIFF")).data).reshape(-1, 3).mean(axis=0)
    # Lab (54, 81, 70) is sRGB's red, within what 8-bit Lab and JPEG leave of it.
    np.testing.assert_allclose(red, (255, 0, 0), atol=12)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "many"])
def test_a_picture_with_a_large_text_is_kept_without_it(kind):
    info = PngImagePlugin.PngInfo()
    text = "workflow " * 300_000
    if kind == "zTXt":
        info.add_text("prompt", text, zip=True)
    elif kind == "iTXt":
        info.add_itxt("prompt", text, zip=True)
    else:
        for i in range(70):
            info.add_text(f"prompt{i}", "x" * 1_000_000)
    stored = store(saved(COLOURFUL, "PNG", pnginfo=info))
    assert stored.repaired == ("texts in a PNG file left out",) and len(stored.data) < 20_000
    np.testing.assert_array_equal(decode_rgb(stored.data), viewer(stored.data))
    np.testing.assert_array_equal(viewer(stored.data), np.asarray(COLOURFUL))


def test_pixels_without_end_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(stored_image.BadImage, match="too large: over 200 pixels"):
        stored_image.decode(jpeg())


def test_a_line_too_long_for_a_jpeg_is_a_png():
    stored = store(saved(Image.new("RGB", (70_000, 1)), "TIFF"))
    assert Image.open(io.BytesIO(stored.data)).format == "PNG" and stored.width == 70_000


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((500, 333), None, (457, 304)),
        ((333, 500), None, (304, 457)),
        ((300, 500), None, (300, 500)),  # never enlarged
        # The crop around a 100-pixel box has 150 pixels: nothing to spare.
        ((500, 400), (200, 150, 100, 80), (500, 400)),
        # Around 400 x 300 pixels it is 600 x 600: the factor is 304 / 600, rounded up.
        ((1000, 608), (300, 154, 400, 300), (507, 309)),
    ],
)
def test_shrunk_size(size, box, expected):
    assert stored_image.shrunk_size(*size, 304, box) == expected


def test_resized_image_is_a_good_jpeg_and_reports_its_scale():
    stored = store(jpeg(300, 200), max_side=76)
    assert (stored.width, stored.height) == (114, 76) and not stored.repaired
    image = Image.open(io.BytesIO(stored.data))
    assert (image.size, image.format) == ((114, 76), "JPEG")
    reference = Image.open(io.BytesIO(jpeg(300, 200))).resize((114, 76), Image.Resampling.BOX)
    error = decode_rgb(stored.data).astype(float) - np.asarray(reference)
    assert np.sqrt((error**2).mean()) < 3
