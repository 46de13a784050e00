"""Drawn images as HTML: whole in itself, so that no file stays on the server and the page needs no
other address.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from t2i_jax.demo_page.artist import Drawn
from t2i_jax.reporting.markup import Markup, element, joined

# Both work inside of one figure, as several may be on the page.
_SHOW = (
    "const all = this.closest('figure').querySelectorAll('.strip img');"
    "this.closest('figure').querySelector('.large').src = all[this.value].src;"
    "all.forEach((one, i) => one.classList.toggle('now', i == this.value));"
)
_CHOOSE = (
    "const slider = this.closest('figure').querySelector('input');"
    "slider.value = this.dataset.place; slider.oninput();"
)


def tiles(drawn: Drawn) -> Markup:
    """Images beside each other, each over its label."""
    labels = drawn.labels or [""] * len(drawn.images)
    shown = [
        element("figure", _image(image), *([element("figcaption", label)] if label else []))
        for image, label in zip(drawn.images, labels, strict=True)
    ]
    few = " few" if len(shown) <= 4 else ""
    return joined([element("div", *shown, class_=f"tiles{few}"), _keep(drawn.picture)])


def frames(drawn: Drawn, ends: tuple[str, str]) -> Markup:
    """One large image, and a slider that moves through all of them.

    ends: what the first and the last are.
    """
    strip = [
        _image(image, class_="now" if i == 0 else None, data_place=i, onclick=_CHOOSE)
        for i, image in enumerate(drawn.images)
    ]
    slider = element(
        "input",
        type="range",
        min=0,
        max=len(strip) - 1,
        value=0,
        oninput=_SHOW,
        aria_label="from the first to the last",
    )
    sides = element("div", *(element("span", end) for end in ends), class_="ends")
    figure = element(
        "figure",
        _image(drawn.images[0], class_="large"),
        slider,
        sides,
        element("div", *strip, class_="strip"),
        class_="frames",
    )
    return joined([figure, _keep(drawn.picture)])


def notes(lines: Sequence[str], wrong: bool = False) -> Markup:
    """What there is to say, in a box that a screen reader reads out; "" for nothing."""
    if not lines:
        return Markup("")
    paragraphs = [element("p", line[:1].upper() + line[1:]) for line in lines]
    return element("div", *paragraphs, class_="note wrong" if wrong else "note", role="alert")


def facts(lines: Sequence[tuple[str, str]]) -> Markup:
    """Names and values in two columns."""
    rows = [element("tr", element("th", name), element("td", value)) for name, value in lines]
    return element("table", *rows, class_="facts")


def _image(image: np.ndarray, **attributes) -> Markup:
    return element("img", src=_address(Image.fromarray(image)), alt="drawn image", **attributes)


def _keep(picture: Image.Image) -> Markup:
    link = element("a", "Download as PNG", href=_address(picture), download="t2i_jax.png")
    return element("p", link, class_="keep")


def _address(picture: Image.Image) -> str:
    stored = io.BytesIO()
    picture.save(stored, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stored.getvalue()).decode()}"
