"""The kinds of pictures that the page draws, each on a tab with controls of its own."""

import dataclasses
from collections.abc import Callable
from typing import Any

import gradio as gr

from t2i_jax.arguments import SEED
from t2i_jax.demo_page import shown
from t2i_jax.demo_page.artist import Artist, Asked, Drawn
from t2i_jax.reporting.markup import Markup

_IMAGES, _STEPS = 16, 24  # at most, at a time


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of pictures.

    controls: of this kind alone.
    output: where they are shown.
    draw: what to show there, given what was asked for and the values of the controls. Raises
        ValueError as `Artist`.
    """

    tab: gr.Tab
    controls: list[gr.components.Component]
    output: gr.HTML
    draw: Callable[..., tuple[Drawn, Markup]]


def kinds(artist: Artist, other: str) -> list[Kind]:
    """A tab for every kind that the run has, inside of a gr.Tabs.

    other: a second caption.
    """
    found = [_images(artist)]
    if artist.reads:
        found.append(_to_caption(artist, other))
    found.append(_to_seed(artist))
    if artist.attends:
        found.append(_attention(artist))
    return found


def seed(label: str, value: int, name: str) -> gr.Number:
    """A field for a seed. name: in the page's HTML."""
    return gr.Number(value, precision=0, label=label, elem_id=name, min_width=100)


def check_seed(value: Any) -> int:
    """The seed that a field holds; ValueError where it is empty."""
    if value is None:
        raise ValueError(f"a seed is missing: give a whole number from 0 to {SEED:,}")
    return value


def _images(artist: Artist) -> Kind:
    def draw(asked: Asked, num: int, cut: bool, truncation: float) -> tuple[Drawn, Markup]:
        drawn = artist.images(asked, num, truncation if cut else None)
        return drawn, shown.tiles(drawn)

    with gr.Tab("Images") as tab:
        with gr.Row(elem_classes="controls"):
            num = gr.Slider(1, _IMAGES, value=4, step=1, label="Number", elem_id="num")
            cut = gr.Checkbox(
                label="Truncated noise",
                info="Images vary less. The first draw with a value compiles it: a moment.",
                elem_id="cut",
                min_width=120,
            )
            truncation = gr.Slider(
                0.05, 1, value=0.5, step=0.05, label="Truncation", visible=False, elem_id="depth"
            )
        cut.change(
            lambda on: gr.Slider(visible=on), cut, truncation, queue=False, api_visibility="private"
        )
        return Kind(tab, [num, cut, truncation], gr.HTML(elem_id="images"), draw)


def _to_caption(artist: Artist, other: str) -> Kind:
    def draw(asked: Asked, other: str, steps: int) -> tuple[Drawn, Markup]:
        drawn = artist.to_caption(asked, other, steps)
        return drawn, shown.frames(drawn, (asked.caption, other))

    with gr.Tab("To another caption") as tab:
        with gr.Row(elem_classes="controls"):
            caption = gr.Textbox(other, label="Other caption", elem_id="other", scale=2)
            steps = _steps("caption_steps")
        return Kind(tab, [caption, steps], gr.HTML(elem_id="to_caption"), draw)


def _to_seed(artist: Artist) -> Kind:
    def draw(asked: Asked, other: int | None, steps: int) -> tuple[Drawn, Markup]:
        drawn = artist.to_seed(asked, check_seed(other), steps)
        return drawn, shown.frames(drawn, (f"seed {asked.seed}", f"seed {other}"))

    with gr.Tab("To another seed") as tab:
        with gr.Row(elem_classes="controls"):
            other, steps = seed("Other seed", 1, "other_seed"), _steps("seed_steps")
        return Kind(tab, [other, steps], gr.HTML(elem_id="to_seed"), draw)


def _attention(artist: Artist) -> Kind:
    def draw(asked: Asked) -> tuple[Drawn, Markup]:
        drawn = artist.attention(asked)
        return drawn, shown.tiles(drawn)

    with gr.Tab("Attention") as tab:
        gr.Markdown(
            "The image, then lit by where each word was read, or by where the discriminator looks "
            "for the caption."
        )
        return Kind(tab, [], gr.HTML(elem_id="attention"), draw)


def _steps(name: str) -> gr.Slider:
    return gr.Slider(2, _STEPS, value=8, step=1, label="Steps", elem_id=name)
