"""Orientation tags: against Pillow's own turning, boxes against the pixels they mark."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from t2i_jax.data import orientation

TAGS = range(1, 9)


def marked(tag: int) -> Image.Image:
    """A dark oblong with a white box at x 3 to 11, y 2 to 7."""
    pixels = np.zeros((20, 30), np.uint8)
    pixels[2:7, 3:11] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = tag
    return image


@pytest.mark.parametrize("tag", TAGS)
def test_images_and_boxes_turn_together(tag):
    image = marked(tag)
    assert orientation.tag(image) == tag
    turned = np.asarray(orientation.turned(image, tag))
    np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))
    rows, columns = np.nonzero(turned)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    height, width = turned.shape
    assert orientation.turned_box((3, 2, 8, 5), tag, width, height) == box


@pytest.mark.parametrize("tag", [0, 9, 77, "6", b"6", 6.5])
def test_tags_of_no_meaning_are_none(tag):
    class Odd:
        def getexif(self):
            return {0x0112: tag}

    assert orientation.tag(Odd()) == 1


def test_broken_metadata_are_none():
    class Broken:
        def getexif(self):
            raise SyntaxError("not a TIFF file")

    assert orientation.tag(Broken()) == 1
