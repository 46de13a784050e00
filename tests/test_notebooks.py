"""What notebooks show, compared with the pixels that it was made of."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import t2i_jax
from t2i_jax.notebooks import EvaluationResult, TrainingResult

GAP, CELL = 6, 128


def flat(*levels: int, size: int = CELL) -> np.ndarray:
    """Images [N, size, size, 3], each of one grey."""
    return np.stack([np.full((size, size, 3), level, np.uint8) for level in levels])


def rows(picture: Image.Image) -> list[list[int]]:
    """The greys in the middles of the cells of a grid without captions."""
    middles = range(GAP + CELL // 2, 10_000, CELL + GAP)
    values, lines = np.asarray(picture)[..., 0], []
    for top in range(0, picture.height - CELL + 1):
        line = [int(values[top + CELL // 2, x]) for x in middles if x < picture.width]
        if (values[top + 1, GAP : GAP + CELL] == line[0]).all() and (values[top, GAP] == 255).all():
            lines.append(line)
    return lines


def test_images_of_one_caption_stand_in_a_row():
    picture = t2i_jax.show(flat(60, 70, 80, 90, 100, 110), ["a red bird", "a blue bird"])
    assert rows(picture) == [[60, 70, 80], [90, 100, 110]]
    assert (np.asarray(picture) < 50).sum() > 100, "captions are black"
    assert rows(t2i_jax.show(flat(10, 20, 30))) == [[10, 20, 30]]
    assert rows(t2i_jax.show(flat(10, 20, 30), columns=1)) == [[10], [20], [30]]
    assert rows(t2i_jax.show(flat(10)[0], "a red bird")) == [[10]]
    assert rows(t2i_jax.show(list(flat(10, 20)))) == [[10, 20]]


def test_styles_are_columns():
    images = flat(10, 20, 30, 40, 50, 60).reshape(2, 3, CELL, CELL, 3)
    assert rows(t2i_jax.show(images)) == [[10, 20, 30], [40, 50, 60]]
    assert rows(t2i_jax.show(images, ["one", "two"])) == [[10, 20, 30], [40, 50, 60]]


def test_scales_stand_beside_each_other():
    picture = t2i_jax.show((flat(10, 20, size=32), flat(10, 20, size=64)), ["one", "two"])
    assert {10, 20} <= set(np.unique(np.asarray(picture)))


def test_a_notebook_is_given_the_picture_itself():
    picture = t2i_jax.show(flat(10))
    shown = Image.open(io.BytesIO(picture._repr_png_()))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(picture))


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((flat(1), 5), TypeError, "captions=5: texts are needed"),
        ((flat(1), [5]), TypeError, "texts are needed"),
        ((flat(1, 2, 3), ["a", "b"]), ValueError, "2 captions for 3 images"),
        ((flat(1), []), ValueError, "0 captions for 1 images"),
        ((flat(1) / 255,), TypeError, "uint8 arrays .* not float64"),
        ((flat(1)[..., 0],), TypeError, "uint8 arrays"),
        (("birds.png",), TypeError, "what Sampler.sample returns"),
        ((None,), TypeError, "what Sampler.sample returns"),
        (([],), ValueError, "at least one image"),
    ],
)
def test_what_cannot_be_shown_gets_a_sentence(arguments, error, words):
    with pytest.raises(error, match=words):
        t2i_jax.show(*arguments)


def test_an_evaluation_shows_its_numbers_and_pictures():
    picture = Image.fromarray(flat(77)[0])
    found = EvaluationResult(
        protocol="fid8",
        workdir="runs/a",
        step=3,
        values={"fid": 1.23456789, "kid": None},
        spreads={},
        lower_is_better=("fid",),
        conditions={},
        details={},
        pictures={"grid": picture},
        text="fid 1.2 <real>",
        files=["runs/a/evaluation/fid8.json"],
    )
    assert "protocol='fid8'" in repr(found) and "{'fid': 1.23457, 'kid': None}" in repr(found)
    page = found._repr_html_()
    assert ">fid 1.2 &lt;real&gt;</pre>" in page
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    np.testing.assert_array_equal(np.asarray(shown), flat(77)[0])


def test_a_training_says_where_it_is_and_how_it_went():
    result = TrainingResult("runs/a", "df_gan", 12, {"d/real": 0.123456})
    assert repr(result) == (
        "TrainingResult(workdir='runs/a', system='df_gan', step=12, metrics={'d/real': 0.1235})"
    )
