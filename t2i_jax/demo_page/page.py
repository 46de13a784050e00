"""The page: what to draw on the left, what is drawn on the right."""

import importlib.resources
import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from t2i_jax.demo_page import shown, tabs
from t2i_jax.demo_page.artist import Artist, Asked
from t2i_jax.reporting.markup import element, joined

CSS = (importlib.resources.files("t2i_jax.demo_page") / "page.css").read_text(encoding="utf-8")
# Of the fonts in gradio's package, whose weight of 600 lacks the Latin letters.
_FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
THEME = gr.themes.Default(primary_hue="blue", font=[_FONT, "sans-serif"])
THEME.set(body_text_color_subdued="*neutral_500")
# One drawing at a time, in the order in which they are asked for: two at once would only share
# the same processor.
_IN_TURN = {"concurrency_limit": 1, "concurrency_id": "draw", "api_visibility": "private"}
_ABOUT = "The same caption and the same seed give the same images."
# On a phone they are below. What there is to say stands above, and is shown within that time.
_TO_IMAGES = """() => setTimeout(() => {
  if (innerWidth < 640 && !document.querySelector('#note .note'))
    document.querySelector('[role=tablist]').scrollIntoView({behavior: 'smooth'});
}, 200)"""
_RANDOM = "() => Math.floor(Math.random() * 1e6)"


def page(
    artist: Artist, title: str, facts: Sequence[tuple[str, str]], examples: Sequence[str]
) -> gr.Blocks:
    """The page of a run.

    title: of the run. facts: names and values. examples: captions to click on; the page opens with
        the first.
    """
    first, second = [*examples, "", ""][:2]
    with gr.Blocks(title=f"{title} - t2i_jax", analytics_enabled=False) as blocks:
        gr.HTML(joined([element("h1", title), element("p", _ABOUT)]), elem_id="title")
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                caption = _caption(artist, first)
                with gr.Row(elem_id="seeds"):
                    seed = tabs.seed("Seed", 0, "seed")
                    new = gr.Button("New seed", elem_id="new", min_width=100)
                width = _width(artist)
                draw = gr.Button("Draw", variant="primary", elem_id="draw")
                note = gr.HTML(elem_id="note")
                buttons = _examples(artist, examples)
            with gr.Column(scale=5, min_width=300), gr.Tabs():
                kinds = tabs.kinds(artist, second)
        with gr.Accordion("About this run", open=False, elem_id="about"):
            gr.HTML(shown.facts(facts))
        which = gr.State(0)

        def drawn(values: dict[Any, Any], number: int | None = None) -> dict[Any, Any]:
            """What changes on the page: the pictures of the tab with this number, or of the one
            that is open.
            """
            number = values[which] if number is None else number
            kind = kinds[number]
            try:
                seed_ = tabs.check_seed(values[seed])
                asked = Asked(values[caption] if artist.reads else None, seed_, values[width])
                found, markup = kind.draw(asked, *(values[c] for c in kind.controls))
            except ValueError as error:
                return {which: number, note: shown.notes([str(error)], wrong=True)}
            return {which: number, note: shown.notes(found.notes), kind.output: markup}

        inputs = {which, caption, seed, width, *(c for kind in kinds for c in kind.controls)}
        outputs = [which, note, *(kind.output for kind in kinds)]
        asked = {"inputs": inputs, "outputs": outputs, **_IN_TURN}
        own = [c.submit for kind in kinds for c in kind.controls if hasattr(c, "submit")]
        chosen = [new.click(None, None, seed, js=_RANDOM)]
        for text, button in buttons.items():
            chosen.append(button.click(None, None, caption, js=f"() => {json.dumps(text)}"))
        entered = gr.on([draw.click, caption.submit, seed.submit, *own], drawn, **asked)
        for event in (entered, *(event.then(drawn, **asked) for event in chosen)):
            event.then(js=_TO_IMAGES)
        if first or not artist.reads:
            blocks.load(drawn, **asked)
        for number, kind in enumerate(kinds):
            kind.tab.select(lambda values, number=number: drawn(values, number), **asked)
    return blocks


def _caption(artist: Artist, first: str) -> gr.Textbox:
    return gr.Textbox(
        first,
        label="Caption",
        lines=1,
        max_lines=6,
        placeholder="what to draw",
        visible=artist.reads,
        elem_id="caption",
    )


def _examples(artist: Artist, examples: Sequence[str]) -> dict[str, gr.Button]:
    """A button for each, with its whole text: gradio's own list of examples cuts them."""
    if not (artist.reads and examples):
        return {}
    with gr.Column(elem_id="examples"):
        gr.HTML(element("p", "Examples"))
        return {text: gr.Button(text, size="sm", elem_classes="example") for text in examples}


def _width(artist: Artist) -> gr.Radio:
    return gr.Radio(
        [(f"{width} px", width) for width in artist.widths],
        value=artist.widths[-1],
        label="Resolution",
        visible=len(artist.widths) > 1,
        elem_id="width",
    )
