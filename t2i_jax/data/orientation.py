"""The orientation tag of photos: how a viewer turns and mirrors what the file holds."""

from PIL import ExifTags, Image

Box = tuple[float, float, float, float]  # x, y, width, height in pixels

# {tag: (Pillow's name of the operation, where the point (x, y) of width x height pixels goes)}
_Turn = Image.Transpose
_TURNS = {
    2: (_Turn.FLIP_LEFT_RIGHT, lambda x, y, w, h: (w - x, y)),
    3: (_Turn.ROTATE_180, lambda x, y, w, h: (w - x, h - y)),
    4: (_Turn.FLIP_TOP_BOTTOM, lambda x, y, w, h: (x, h - y)),
    5: (_Turn.TRANSPOSE, lambda x, y, w, h: (y, x)),
    6: (_Turn.ROTATE_270, lambda x, y, w, h: (h - y, x)),
    7: (_Turn.TRANSVERSE, lambda x, y, w, h: (h - y, w - x)),
    8: (_Turn.ROTATE_90, lambda x, y, w, h: (y, w - x)),
}


def tag(image: Image.Image) -> int:
    """The tag of an opened image, 1 to 8; 1, upright, where there is none or no sensible one."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata; what Pillow raises has no common base
        return 1
    return value if value in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image as a viewer shows it."""
    return image.transpose(_TURNS[orientation][0]) if orientation in _TURNS else image


def turned_box(box: Box, orientation: int, width: int, height: int) -> Box:
    """The box of the same pixels after `turned`.

    width, height: of the turned image.
    """
    if orientation not in _TURNS:
        return box
    if orientation >= 5:
        width, height = height, width
    move = _TURNS[orientation][1]
    x, y, w, h = box
    (x0, y0), (x1, y1) = move(x, y, width, height), move(x + w, y + h, width, height)
    return min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)
