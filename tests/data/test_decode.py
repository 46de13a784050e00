"""Decoding against Pillow: every kind of image to RGB, sizes, reduced sizes, broken bytes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from t2i_jax.data import decode

from .sources import encoded, photo

PHOTO = Image.fromarray(photo(53, 41))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA"])
def test_png_of_every_kind_becomes_the_rgb_that_pillow_gives(mode):
    data = encoded(PHOTO.convert(mode), "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode.decode_rgb(data), expected)


@pytest.mark.parametrize(("mode", "tolerance"), [("RGB", 0), ("L", 0), ("CMYK", 3)])
def test_jpeg_of_every_kind_becomes_rgb(mode, tolerance):
    data = encoded(PHOTO.convert(mode), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    image = decode.decode_rgb(data)
    assert image.shape == (41, 53, 3) and image.dtype == np.uint8
    assert np.abs(image - expected).max() <= tolerance


@pytest.mark.parametrize("form", ["GIF", "WEBP", "BMP", "TIFF"])
def test_other_formats_are_read_too(form):
    data = encoded(PHOTO, form)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(decode.decode_rgb(data, 4) - expected).max() <= 4  # whole, also when reduced
    assert decode.image_size(data) == (53, 41)


def test_sixteen_bits_keep_their_high_byte():
    gray = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    image = decode.decode_rgb(encoded(Image.fromarray(gray), "PNG")).astype(int)
    assert np.abs(image - (gray >> 8)[..., None]).max() <= 1


def test_orientation_tags_are_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = encoded(PHOTO, "JPEG", exif=exif)
    assert decode.decode_rgb(data).shape == (41, 53, 3) and decode.image_size(data) == (53, 41)


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    factor=st.sampled_from([1, 2, 4, 8]),
    progressive=st.booleans(),
)
def test_sizes_are_read_from_the_header_and_reduced_upwards(width, height, factor, progressive):
    data = encoded(photo(width, height), "JPEG", progressive=progressive)
    assert decode.image_size(data) == (width, height)
    reduced = decode.decode_rgb(data, factor).shape
    assert reduced == (-(-height // factor), -(-width // factor), 3)


def test_a_reduced_image_is_the_image_made_smaller():
    picture = photo(160, 120)
    image = decode.decode_rgb(encoded(picture, quality=95), 4).astype(int)
    expected = np.asarray(Image.fromarray(picture).resize((40, 30), Image.BOX)).astype(int)
    assert np.abs(image - expected).mean() < 2


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 400), st.integers(1, 400))
def test_the_reduction_is_the_largest_that_leaves_enough(width, height, w, h):
    factor = decode.reduction(width, height, w, h)
    fits = [f for f in (1, 2, 4, 8) if width / f >= w and height / f >= h]
    assert factor == max(fits, default=1)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff", b"<html>not found</html>", encoded(photo(9, 9))[:30], b"\x89PNG\r\n"],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="bytes"):
        decode.decode_rgb(data)
    with pytest.raises(ValueError, match="not an image"):
        decode.image_size(data)
