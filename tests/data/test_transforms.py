"""Image transforms against Torch7's numbers, Pillow, and the papers' integer rules."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from t2i_jax.data import transforms
from t2i_jax.data.transforms import ImageTransform

from .sources import encoded, photo


def psnr(left, right) -> float:
    return 10 * np.log10(255**2 / np.mean((left.astype(float) - right.astype(float)) ** 2))


@pytest.mark.parametrize("case", [1, 2, 3, 4])
def test_torch7_scale_gives_torch_numbers(golden_dir, case):
    golden = np.load(golden_dir / "torch_image_scale.npz")
    source = golden[f"case{case}/src_uint8"].transpose(1, 2, 0)
    expected = golden[f"case{case}/scaled_76"].transpose(1, 2, 0)
    height, width = expected.shape[:2]
    scaled = transforms.torch7_scale(source.astype(np.float32) / 255, width, height)
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    rounded = transforms.torch7_scale(source, width, height)
    assert rounded.dtype == np.uint8
    assert np.abs(rounded - 255 * expected).max() <= 0.501


def test_the_whole_chain_gives_torch_view(golden_dir):
    golden = np.load(golden_dir / "torch_image_scale.npz")
    source = golden["case1/src_uint8"].transpose(1, 2, 0)
    x, y = int(golden["view/crop_x1"]), int(golden["view/crop_y1"])
    expected = (golden["view/image"].transpose(1, 2, 0) + 1) * 127.5
    side = expected.shape[0]

    class Drawn:  # a generator that draws the view's offsets and the mirror
        values = iter([y, x, 1])

        def integers(self, high):
            value = next(self.values)
            assert value < high
            return value

    view = ImageTransform(size=side, resize="torch7")
    image = view(encoded(source, "PNG"), None, Drawn())
    assert np.abs(image - expected).max() <= 0.502


@given(
    st.integers(40, 600),
    st.integers(40, 600),
    st.tuples(*[st.floats(0, 400, width=32)] * 4).map(lambda b: (b[0], b[1], b[2] + 1, b[3] + 1)),
)
def test_box_regions_follow_the_published_rule(width, height, box):
    x, y, w, h = map(int, box)
    r = int(np.maximum(w, h) * 0.75)
    cx, cy = (2 * x + w) // 2, (2 * y + h) // 2
    expected = (max(0, cx - r), max(0, cy - r), min(width, cx + r), min(height, cy + r))
    if expected[2] <= expected[0] or expected[3] <= expected[1]:
        expected = (0, 0, width, height)
    assert transforms.box_region(np.array(box, np.float32), width, height) == expected


def test_box_region_of_the_first_cub_image():
    # 500 x 335 with box 60 27 325 304: r = 243, centre (222, 179).
    assert transforms.box_region((60.0, 27.0, 325.0, 304.0), 500, 335) == (0, 0, 465, 335)


def test_a_box_crop_is_the_region_of_the_decoded_image():
    picture = photo(200, 160)
    data = encoded(picture, "PNG")
    transform = ImageTransform(size=32, box_crop=True)
    cropped, *size = transform.decode(data, np.array([70, 50, 40, 30], np.float32))
    np.testing.assert_array_equal(cropped, picture[35:95, 60:120])
    assert size == [60, 60]
    whole, *_ = transform.decode(data, np.zeros(4, np.float32))  # width 0: no box
    np.testing.assert_array_equal(whole, picture)


@given(
    st.integers(20, 400),
    st.integers(20, 400),
    st.integers(5, 60),
    st.booleans(),
    st.sampled_from(["square", "short_side"]),
)
@example(149, 222, 32, True, "square")  # 149 * (75 / 149) > 75 in floating point
def test_nothing_is_decoded_smaller_than_it_is_needed(width, height, size, boxed, resize):
    data = encoded(photo(width, height), "JPEG", quality=60)
    box = np.array([width * 0.3, height * 0.2, width * 0.3, height * 0.5], np.float32)
    quick = ImageTransform(size=size, box_crop=boxed, resize=resize)
    exact = ImageTransform(size=size, box_crop=boxed, resize=resize, reduced=False)
    small, full = quick.decode(data, box)[0].shape, exact.decode(data, box)[0].shape
    for got, stored in zip(small[:2], full[:2], strict=True):
        assert got >= min(stored, quick.load_size)


def test_reduced_decoding_shows_the_same_picture():
    data = encoded(photo(400, 300), "JPEG", quality=92)
    box = np.array([101, 53, 177, 140], np.float32)
    for boxed, least in ((False, 33), (True, 27)):  # the box moves by half a reduced pixel
        whole = {"size": 38, "crop": "none", "flip": False, "box_crop": boxed}
        quick = ImageTransform(**whole)(data, box, None)
        exact = ImageTransform(**whole, reduced=False)(data, box, None)
        assert psnr(quick, exact) > least


@pytest.mark.parametrize(("width", "height"), [(120, 90), (81, 243), (64, 64), (304, 405)])
def test_short_sides_are_torchvision_sizes(width, height):
    side = 76
    sizes = transforms.short_side_size(width, height, side)
    # torchvision.transforms.Resize(int): the long side is int(size * long / short).
    expected = (side, int(side * height / width))
    if width > height:
        expected = (int(side * width / height), side)
    assert sizes == expected
    assert ImageTransform(size=64, resize="short_side").loaded_size(width, height) == sizes


def box_filter(source: int, target: int) -> np.ndarray:
    """Exact area averaging of one axis, [target, source]."""
    edges = np.linspace(0, source, target + 1)
    pixel = np.arange(source)
    low = np.maximum(edges[:-1, None], pixel)
    high = np.minimum(edges[1:, None], pixel + 1)
    return np.maximum(high - low, 0) * target / source


@pytest.mark.parametrize(
    ("width", "height", "side"), [(640, 200, 304), (90, 400, 128), (1000, 60, 64), (500, 64, 64)]
)
@pytest.mark.parametrize("period", [2, 3, 8])
def test_an_axis_that_shrinks_is_averaged_even_where_the_other_grows(width, height, side, period):
    """Stripes across the axis that shrinks: exact averages along it, linear along the other."""
    long = max(width, height)
    stripes = np.where(np.arange(long) % period < period / 2, 255, 0).astype(np.uint8)
    picture = np.broadcast_to(stripes[None, :, None], (min(width, height), long, 3))
    expected = np.broadcast_to((box_filter(long, side) @ stripes)[None, :, None], (side, side, 3))
    if height > width:
        picture, expected = picture.transpose(1, 0, 2), expected.transpose(1, 0, 2)
    ours = transforms.resize(np.ascontiguousarray(picture), side, side)
    assert np.abs(ours - expected).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "size"), [(300, 2, 32), (3, 400, 64), (500, 16, 64), (40, 2000, 32)]
)
@pytest.mark.parametrize("crop", ["random", "center"])
def test_of_a_strip_the_window_alone_is_resized(width, height, size, crop):
    picture = photo(width, height)
    data = encoded(picture, "PNG")
    transform = ImageTransform(size=size, resize="short_side", crop=crop, flip=False)
    columns, rows = transform.loaded_size(width, height)
    whole = transforms.resize(picture, columns, rows)
    for seed in range(4):
        image = transform(data, None, np.random.default_rng(seed))
        draw = np.random.default_rng(seed).integers
        top, left = (rows - size) // 2, (columns - size) // 2
        if crop == "random":
            top, left = draw(rows - size + 1), draw(columns - size + 1)
        expected = whole[top : top + size, left : left + size]
        assert image.shape == expected.shape
        if columns % width == 0 == rows % height:
            np.testing.assert_array_equal(image, expected)
        else:  # the cut begins at a whole pixel of the result
            shifts = [np.roll(image, s, a) for s in (-1, 0, 1) for a in (0, 1)]
            assert max(psnr(s[2:-2, 2:-2], expected[2:-2, 2:-2]) for s in shifts) > 20


@given(
    columns=st.integers(2, 90),
    rows=st.integers(2, 90),
    width=st.integers(1, 120),
    height=st.integers(1, 120),
    part=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@example(2, 8, 2, 7, (0.0, 0.0))  # four rows at 7/8 of the size are four rows
def test_pixels_do_not_depend_on_how_many_are_wanted(columns, rows, width, height, part):
    picture = np.random.default_rng(0).integers(0, 256, (rows, columns, 3), np.uint8)
    right, bottom = 1 + round(part[0] * (width - 1)), 1 + round(part[1] * (height - 1))
    whole = transforms.resize(picture, width, height)
    assert whole.shape == (height, width, 3)
    got = transforms.resize(picture, width, height, (right, bottom))[:bottom, :right]
    np.testing.assert_array_equal(got, whole[:bottom, :right])


@pytest.mark.parametrize("resize", transforms.RESIZES)
def test_images_are_written_where_they_are_asked_for(resize):
    data, transform = encoded(photo(90, 70)), ImageTransform(size=32, resize=resize)
    batch = np.zeros((3, 32, 32, 3), np.uint8)
    for seed in range(6):  # of either mirroring
        expected = transform(data, None, np.random.default_rng(seed))
        given_back = transform(data, None, np.random.default_rng(seed), batch[1])
        assert np.shares_memory(given_back, batch[1])
        np.testing.assert_array_equal(batch[1], expected)
    assert not batch[0].any() and not batch[2].any()


@pytest.mark.parametrize(("width", "height"), [(3000, 1), (1, 5000), (20_000, 3)])
def test_a_strip_takes_no_memory_to_speak_of(width, height):
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    data, rng = encoded(picture, "PNG"), np.random.default_rng(0)
    transform = ImageTransform(size=256, resize="short_side")
    tracemalloc.start()
    image = transform(data, None, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.shape == (256, 256, 3)
    assert peak < 20e6


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.25, 1.5, 2.0, 2.6, 5.0])
def test_resizing_is_as_good_as_pillow_antialiased(scale):
    rng = np.random.default_rng(0)
    picture = np.clip(photo(240, 240) + rng.normal(0, 6, (240, 240, 1)), 0, 255).astype(np.uint8)
    side = round(240 / scale)
    best = np.asarray(Image.fromarray(picture).resize((side, side), Image.LANCZOS))
    pillow = np.asarray(Image.fromarray(picture).resize((side, side), Image.BILINEAR))
    ours = transforms.resize(picture, side, side)
    if scale == 1.0:
        np.testing.assert_array_equal(ours, picture)
    else:
        assert psnr(ours, best) > psnr(pillow, best) - 1.5


def test_random_crops_are_uniform_and_mirrored_half_the_time():
    # Pixels that tell their own place: red is the column, green the row.
    rows, columns = np.mgrid[:19, :19]
    picture = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)
    transform = ImageTransform(size=16)
    assert transform.load_size == 19
    data, rng = encoded(picture, "PNG"), np.random.default_rng(0)
    tops, lefts, flips = [], [], []
    for _ in range(2000):
        image = transform(data, None, rng).astype(int)
        flips.append(image[0, 0, 0] > image[0, -1, 0])
        image = image[:, ::-1] if flips[-1] else image
        top, left = image[0, 0, 1], image[0, 0, 0]
        np.testing.assert_array_equal(image, picture[top : top + 16, left : left + 16])
        tops.append(top)
        lefts.append(left)
    for values, kinds in ((tops, 4), (lefts, 4), (flips, 2)):
        assert stats.chisquare(np.bincount(values, minlength=kinds)).pvalue > 1e-4


def test_center_and_whole_views():
    picture = photo(38, 38)
    data, rng = encoded(picture, "PNG"), np.random.default_rng(0)
    center = ImageTransform(size=32, crop="center", flip=False)
    np.testing.assert_array_equal(center(data, None, rng), picture[3:35, 3:35])
    whole = ImageTransform(size=38, crop="none", flip=False)
    np.testing.assert_array_equal(whole(data, None, rng), picture)


def test_enlarging_gives_full_size():
    image = ImageTransform(size=64)(encoded(photo(20, 12)), None, np.random.default_rng(0))
    assert image.shape == (64, 64, 3)
    Image.open(io.BytesIO(encoded(image)))
