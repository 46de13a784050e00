"""Which bytes are stored of an image: originals where possible, every odd mode as true RGB."""

import io

import numpy as np
import pytest
from PIL import Image

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


def test_exif_rotation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    assert store(data, max_side=10)[1:3] == (20, 10)


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
