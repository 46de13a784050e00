"""Grids hold every pixel they were given, in its place; curves draw what was logged."""

import numpy as np
import pytest
from PIL import Image

from t2i_jax import pictures

GAP = 6


def flat(level: int, size: int = 128) -> np.ndarray:
    """An image of one grey."""
    return np.full((size, size, 3), level, np.uint8)


def greys(picture: Image.Image) -> set[int]:
    """The grey levels of a picture that fill at least a hundred pixels."""
    values, counts = np.unique(np.asarray(picture)[..., 0], return_counts=True)
    return set(values[counts >= 100].tolist())


def ink(picture: Image.Image) -> int:
    """The number of black pixels."""
    return int((np.asarray(picture)[..., 0] < 50).sum())


def test_images_lie_in_rows_from_left_to_right():
    picture = np.asarray(pictures.grid([flat(v) for v in (10, 20, 30)], columns=2))
    assert picture.shape[1] == 2 * 128 + 3 * GAP
    assert picture[GAP + 5, GAP + 5, 0] == 10
    assert picture[GAP + 5, 2 * GAP + 133, 0] == 20
    assert picture[picture.shape[0] - 2 * GAP - 5, GAP + 5, 0] == 30
    assert (picture[-20:, -20:] == 255).all()


def test_small_images_are_enlarged_without_blur():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = 200
    picture = np.asarray(pictures.grid([image], cell=100))[GAP : GAP + 100, GAP : GAP + 100]
    np.testing.assert_array_equal(picture, np.kron(image, np.ones((50, 50, 1), np.uint8)))


def test_captions_are_written_below():
    bare = pictures.grid([flat(100)])
    named = pictures.grid([flat(100)], ["a small red bird with black wings"])
    assert named.height > bare.height and named.width == bare.width
    below = np.asarray(named)[GAP + 128 :]
    assert below.min() < 100, "no ink"


def test_a_grid_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least one image"):
        pictures.grid([])
    with pytest.raises(ValueError, match="1 captions for 2 images"):
        pictures.grid([flat(1), flat(2)], ["one"])


def test_scales_stand_side_by_side():
    scales = [np.stack([flat(v, size) for v in (40, 80)]) for size in (32, 64)]
    picture = pictures.scales_grid(scales, ["a", "b"], columns=1)
    assert picture.width == 32 + 64 + 2 * 4 + 2 * GAP
    counts = {v: int((np.asarray(picture)[..., 0] == v).sum()) for v in (40, 80)}
    assert all(n == pytest.approx(32**2 + 64**2, rel=0.02) for n in counts.values())


def test_one_scale_is_a_grid():
    images = np.stack([flat(40), flat(80)])
    expected = np.asarray(pictures.grid(list(images), ["a", "b"], 1))
    np.testing.assert_array_equal(
        np.asarray(pictures.scales_grid([images], ["a", "b"], 1)), expected
    )


def test_titled_pictures_lie_below_each_other():
    parts = [
        ("the first", pictures.grid([flat(50)])),
        ("", pictures.grid([flat(90)] * 4, columns=4)),
    ]
    picture = pictures.titled(parts)
    assert picture.width == parts[1][1].width
    assert greys(picture) == {50, 90, 255}
    rows = np.asarray(picture)[:, GAP + 5, 0]
    first, second = np.flatnonzero(rows == 50), np.flatnonzero(rows == 90)
    assert len(first) == len(second) == 128 and first[-1] < second[0]
    assert np.asarray(picture)[: first[0]].min() < 100, "no title"
    assert first[0] - GAP > second[0] - first[-1] - 2 * GAP, "an empty title takes no line"


def test_long_titles_are_wrapped_and_none_is_cut():
    word = "wing"
    short = pictures.titled([(word, pictures.grid([flat(50)]))])
    long = pictures.titled([(" ".join([word] * 60), pictures.grid([flat(50)]))])
    assert long.width == short.width and long.height > short.height + 50
    assert ink(long) == pytest.approx(60 * ink(short), rel=0.1)
    with pytest.raises(ValueError, match="nothing"):
        pictures.titled([])


def test_curves(tmp_path):
    rows = [
        {"step": i, "g/fake": 1.0 / i, "d/real": float(i), "images_per_s": 5} for i in (1, 2, 3)
    ]
    rows[1]["g/fake"] = None  # not logged in this interval
    pictures.curves(rows, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > picture.height > 200, "two panels"


def test_no_curves_where_nothing_was_logged(tmp_path):
    pictures.curves([], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_caption_that_is_cut_says_so():
    """Of ten lines' worth of words six are shown, and the dots are ink of their own."""
    words = ["wing"] * 60
    cut = pictures.grid([flat(100)], [" ".join(words)])
    assert cut.height == pictures.grid([flat(100)], [" ".join(["winged"] * 60)]).height


def test_words_of_a_caption_stand_apart():
    """Pillow's font has spaces of two pixels in small sizes, about as wide as between letters."""
    named = np.asarray(pictures.grid([flat(100)], ["a small red bird"]).convert("L"))
    inked = np.flatnonzero((named[GAP + 128 + 2 :] < 160).any(0))
    gaps = np.diff(inked) - 1
    assert (gaps >= 4).sum() == 3, gaps


def test_rows_of_a_table_lie_beside_their_labels():
    rows = [
        pictures.Row("first", [flat(60), flat(70)], ["one", "two"]),
        pictures.Row("second\n" + "word " * 80, [flat(80), flat(90)]),
    ]
    picture = pictures.table(rows, ["left", "right"])
    pixels = np.asarray(picture)[..., 0]
    assert greys(picture) >= {60, 70, 80, 90, 255}
    at = {}
    for level in (60, 70, 80, 90):  # of which letters have single pixels, at their edges
        found = np.argwhere((pixels == level) & (np.roll(pixels, 1, 0) == level))
        at[level] = np.median(found, axis=0) - 64
        assert len(found) == pytest.approx(128**2, rel=0.02), "none is covered"
    at = {level: place.round().astype(int) for level, place in at.items()}
    assert at[60][0] == at[70][0] < at[80][0] == at[90][0]
    assert at[60][1] == at[80][1] < at[70][1] == at[90][1]
    above, left = pixels[: at[60][0]], pixels[:, : at[60][1] - GAP]
    assert (above < 100).any() and (left[at[80][0] :] < 100).any()
    bare = pictures.table([rows[0], rows[1]._replace(label="")], ["left", "right"])
    assert picture.height > bare.height + 20, "a long label makes room for itself"
    short = pictures.table([rows[0], pictures.Row("second", rows[1].images)])
    assert short.width < picture.width - 150, "short labels take no more room than they need"
    with pytest.raises(ValueError, match="at least one row"):
        pictures.table([])


def test_pictures_stand_beside_each_other():
    low, high = pictures.grid([flat(50)]), pictures.grid([flat(90)] * 2, columns=1)
    picture = pictures.beside([low, high])
    assert picture.height == high.height and picture.width > low.width + high.width
    assert greys(picture) == {50, 90, 255}
    with pytest.raises(ValueError, match="nothing"):
        pictures.beside([])
