"""Text is legible in its script: characters are not the box that stands for a missing one, differ
from each other, and lie in lines that fit.
"""

import importlib.util
import unicodedata
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from t2i_jax import fonts, pictures

SIZE = 16
BOX = "\U000f0000"  # a character of private use
HAVE_NOTO = importlib.util.find_spec("manimgx_fonts") and importlib.util.find_spec(
    "manimgx_fonts_cjk"
)
noto = pytest.mark.skipif(not HAVE_NOTO, reason='needs the extra "fonts"')
# Two words of every script.
WORDS = {
    "German": ("täglich", "Straße"),
    "Russian": ("птица", "крыло"),
    "Greek": ("πουλί", "μικρό"),
    "Arabic": ("طائر", "أحمر"),
    "Hebrew": ("ציפור", "אדומה"),
    "Japanese": ("鳥は", "赤い"),
    "Chinese": ("红色", "翅膀"),
    "Korean": ("작은", "날개"),
    "Hindi": ("पक्षी", "लाल"),
    "Thai": ("นก", "แดง"),
    "Bengali": ("পাখি", "লাল"),
    "Tamil": ("பறவை", "சிவப்பு"),
    "emoji": ("🐦", "🌸"),
}
OF_DEJAVU = ("German", "Russian", "Greek", "Arabic", "Hebrew")
SCRIPTS = [pytest.param(name, marks=() if name in OF_DEJAVU else noto) for name in WORDS]
needs_raqm = pytest.mark.skipif(not features.check("raqm"), reason="needs FriBiDi")


@pytest.fixture(autouse=True)
def said_anew():
    fonts._file_of.cache_clear()
    fonts._warn.cache_clear()


def ink(text: str) -> np.ndarray:
    """The pixels of a text, without the white around them."""
    image = Image.new("L", (400, 60), 255)
    fonts.draw(ImageDraw.Draw(image), (20, 15), text, SIZE, 0)
    dark = np.asarray(image) < 128
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    assert len(rows), "nothing was drawn"
    return dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool((a == b).all())


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_drawn_with_letters_of_its_own(script):
    with warnings.catch_warnings():
        warnings.simplefilter("error", fonts.FontWarning)
        drawn = [ink(c) for word in WORDS[script] for c in dict.fromkeys(word) if alone(c)]
        first, second = map(ink, WORDS[script])
    with pytest.warns(fonts.FontWarning):
        box = ink(BOX)
    assert drawn and not any(same(letter, box) for letter in drawn)
    assert not same(first, second)
    assert sum(same(a, b) for i, a in enumerate(drawn) for b in drawn[:i]) <= 2, "repeated letters"


def alone(character: str) -> bool:
    """Whether it is a sign of its own and no mark on another."""
    return unicodedata.category(character)[0] != "M"


@needs_raqm
def test_arabic_is_written_from_the_right_and_its_letters_are_joined():
    word = "طائر"
    assert ink(word).shape[1] < ink("\u200c".join(word)).shape[1], "joined"
    for text, thin in (("طا", "left"), ("اط", "right")):  # alef is an upright stroke
        drawn = ink(text)
        left, right = drawn[:, 0].sum(), drawn[:, -1].sum()
        assert (left > right) == (thin == "left"), text


class Canvas:
    """Keeps what is drawn on it."""

    def __init__(self):
        self.drawn = []

    def text(self, place, text, **options):
        self.drawn.append((place[0], text.strip(), options.get("direction")))


@needs_raqm
@noto
@pytest.mark.parametrize(
    ("text", "direction", "first", "last"),
    [
        ("a red 鳥 is طائر so", "ltr", "a red", "طائر so"),
        ("طائر أحمر 鳥 طائر", "rtl", "طائر", "طائر أحمر"),
    ],
)
def test_stretches_of_several_fonts_stand_in_the_order_of_the_line(text, direction, first, last):
    canvas = Canvas()
    fonts.draw(canvas, (0, 0), text, SIZE)
    places = [left for left, _, _ in canvas.drawn]
    assert len(canvas.drawn) > 1 and places == sorted(places)
    assert {way for _, _, way in canvas.drawn} == {direction}
    assert canvas.drawn[0][1] == first and canvas.drawn[-1][1].endswith(last)


def test_ascii_is_drawn_as_by_pillow_alone():
    image = Image.new("L", (400, 60), 255)
    font = pictures.fonts._font("", SIZE)
    ImageDraw.Draw(image).text((20, 15), "a red bird, gqy", fill=0, font=font)
    ours = Image.new("L", (400, 60), 255)
    fonts.draw(ImageDraw.Draw(ours), (20, 15), "a red bird, gqy", SIZE, 0)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(ours))


def test_what_no_font_has_is_said_once_and_names_the_cure():
    with pytest.warns(fonts.FontWarning, match=r"t2i_jax\[fonts\]") as told:
        for _ in range(3):
            fonts.length(f"a bird {BOX}", SIZE)
    assert len(told) == 1


@pytest.mark.parametrize(
    "text",
    [
        "MMMM WWWW " * 20,
        "W" * 200,
        "illicit " * 30,
        "die größte Straße " * 9,
        "маленькая красная птица " * 9,
        pytest.param("鳥は赤くて小さいです。黒い翼があり、「白い」腹があります。" * 4, marks=noto),
        pytest.param("นกสีแดงตัวเล็กมีปีกสีดำ" * 5, marks=noto),
        pytest.param("a red 鳥 and एक पक्षी " * 8, marks=noto),
    ],
)
def test_no_line_is_wider_than_its_place(text):
    lines = fonts.wrapped(text, SIZE, 200)
    assert "".join("".join(lines).split()) == "".join(text.split()), "every letter"
    widths = [fonts.length(line, SIZE) for line in lines]
    assert max(widths) <= 200
    assert np.mean(widths[:-1]) > 120, "lines are filled"


@noto
def test_lines_end_where_the_script_lets_them():
    """Not before a full stop, nor after a bracket that opens, nor within a letter and its marks."""
    for width in range(40, 120, 3):
        lines = fonts.wrapped("鳥は赤い。翼は「黒い」です。とても、きれいな鳥です！", SIZE, width)
        assert not any(line[0] in "。、」！" or line[-1] == "「" for line in lines), lines
        for line in fonts.wrapped("एकछोटालालपक्षीकालेपंखहैं", SIZE, width):
            assert unicodedata.category(line[0])[0] != "M", line
        assert "red bird" in " ".join(fonts.wrapped("a red bird", SIZE, width))


def test_a_text_that_is_cut_says_so_and_fits():
    words = "wing " * 60
    lines = fonts.wrapped(words, SIZE, 128, most=5)
    assert len(lines) == 5 and lines[-1].endswith("wing ...")
    assert max(fonts.length(line, SIZE) for line in lines) <= 128
    assert fonts.wrapped("a red bird", SIZE, 128, most=5) == ["a red bird"]
    assert fonts.wrapped("  ", SIZE, 128) == []
    assert fonts.wrapped("a\nred\tbird", SIZE, 300) == ["a red bird"]


@noto
def test_captions_below_images_are_legible():
    images = [np.full((64, 64, 3), 200, np.uint8)] * 2
    birds = pictures.grid(images, ["鳥", "翼"])
    with pytest.warns(fonts.FontWarning):
        box = pictures.grid(images, [BOX, BOX])
    assert not same(np.asarray(birds), np.asarray(box))
    left, right = np.asarray(birds)[134:, 6:70], np.asarray(birds)[134:, 140:204]
    assert (left < 100).any() and (right < 100).any() and not same(left, right)
