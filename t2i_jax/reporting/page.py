"""The page: one HTML file with everything in it, that fetches nothing."""

import base64
import datetime
import importlib.resources
import json
import string
from collections.abc import Mapping, Sequence
from typing import Any

from t2i_jax.reporting import curves, table, tables
from t2i_jax.reporting.gather import Sweep
from t2i_jax.reporting.markup import Markup, element, joined
from t2i_jax.reporting.overrides import text
from t2i_jax.reporting.run_files import Run
from t2i_jax.reporting.samples import Asked, Drawn

_FILES = ("html", "css", "js")
_PIXELS = 128  # width up to which images are enlarged without blurring
# Told apart by most people, on white and on black; from the ninth point on dashed.
_COLOURS = ("#3b82d6", "#e07b00", "#1f9e6e", "#c2569b", "#b59a00", "#8a63d2", "#d5483c", "#4aa7c9")
_DASHES = ("", "6 3", "2 2", "8 3 2 3")


def page(
    sweep: Sweep,
    columns: Sequence[table.Column],
    asked: Asked | None,
    drawn: Mapping[tuple[str, str], Drawn],
    no_captions: str = "",
) -> str:
    """The whole file.

    drawn: what there is to see of each run. no_captions: why nothing was asked for.
    """
    colours = [_COLOURS[i % len(_COLOURS)] for i in range(len(sweep.points))]
    dashes = [_DASHES[i // len(_COLOURS) % len(_DASHES)] for i in range(len(sweep.points))]
    marks = {
        p: _mark(colour, dash)
        for p, colour, dash in zip(sweep.points, colours, dashes, strict=True)
    }
    data = {**curves.curves(sweep, columns), "colours": colours, "dashes": dashes}
    body = joined(
        [
            _header(sweep),
            element(
                "main",
                _notes([*sweep.notes, *table.remarks(columns)]),
                _results(sweep, columns, marks),
                _curves(data, marks),
                _samples(sweep, asked, drawn, no_captions, marks),
                _costs(sweep),
                _conditions(columns),
            ),
        ]
    )
    files = importlib.resources.files("t2i_jax.reporting")
    template, style, script = (
        (files / f"page.{name}").read_text(encoding="utf-8") for name in _FILES
    )
    return string.Template(template).substitute(
        title=joined([sweep.title]),
        style=style,
        script=script,
        body=body,
        # A text in a script must hold neither "</script" nor "<!--".
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _mark(colour: str, dash: str) -> Markup:
    line = element(
        "line", x1=0, x2=22, y1=4, y2=4, stroke=colour, stroke_width=4, stroke_dasharray=dash
    )
    return element("svg", line, class_="mark", width=22, height=8, aria_hidden="true")


def _header(sweep: Sweep) -> Markup:
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    seeds = len({run.seed for run in sweep.runs})
    counts = f"points: {len(sweep.points)}, seeds: {seeds}, runs: {len(sweep.runs)}"
    return element(
        "header",
        element("h1", sweep.title),
        element("p", f"{counts}. Made {now} by python -m t2i_jax.report.", class_="small"),
        element(
            "div",
            element(
                "label",
                "Show points named ",
                element("input", id="filter", type="search", placeholder="any part of a name"),
            ),
            class_="controls",
        ),
    )


def _notes(lines: Sequence[str]) -> Markup:
    if not lines:
        return Markup()
    return element("ul", *(element("li", line) for line in lines), class_="notes")


def _results(sweep: Sweep, columns: Sequence[table.Column], marks: Mapping) -> Markup:
    none = element("p", "No run has been evaluated yet: no evaluation/results.jsonl is there.")
    return element(
        "section",
        element("h2", "Results"),
        Markup() if columns else none,
        element("div", _toggle("results", "every-seed", " every seed"), class_="controls"),
        tables.results(sweep, columns, marks.get),
        element("p", table.RULE, class_="small"),
    )


def _toggle(name: str, class_: str, label: str) -> Markup:
    box = element("input", type="checkbox", data_toggles=name, data_class=class_)
    return element("label", box, label)


def _curves(data: Mapping[str, Any], marks: Mapping[str, Markup]) -> Markup:
    if not data["metrics"]:
        return element(
            "section", element("h2", "Curves"), element("p", "No run has logged anything.")
        )
    choices = [element("option", name, value=name) for name in data["metrics"]]
    axes = [element("option", label, value=name) for name, label in _AXES.items()]
    legend = [
        element("button", mark, point, type="button", aria_pressed="true", data_point=point)
        for point, mark in marks.items()
    ]
    slider = element("input", id="smooth", type="range", min=0, max=0.95, step=0.05, value=0)
    svg = element("svg", tabindex=0, role="img", aria_label="curves; the arrow keys read values")
    return element(
        "section",
        element("h2", "Curves"),
        element(
            "div",
            element("label", "of ", element("select", *choices, id="metric")),
            element("label", "over ", element("select", *axes, id="axis")),
            element("label", "smoothed ", slider),
            class_="controls",
        ),
        element("div", svg, element("div", id="tip", hidden=True), id="chart"),
        element("div", *legend, class_="legend"),
        element(
            "p",
            "Strong lines are means over the seeds, at the steps that all seeds of a point have "
            "logged; faint ones are the seeds. Device time counts from the start of a training, "
            "compiling and waiting included, and passes evenly between two starts.",
            class_="small",
        ),
        element("noscript", element("p", "The curves need JavaScript.")),
    )


_AXES = {"steps": "steps", "hours": "device-hours"}


def _samples(
    sweep: Sweep,
    asked: Asked | None,
    drawn: Mapping[tuple[str, str], Drawn],
    no_captions: str,
    marks: Mapping[str, Markup],
) -> Markup:
    head = Markup()
    said = f"The last grids of the trainings: {no_captions}"
    captions = asked.captions if asked else ("",)
    if asked:
        of = f" The captions are {asked.origin}." if asked.origin else ""
        said = (
            f"Each column is one caption and one noise, of seed {asked.seed}, the same for runs "
            f"whose noise has the same size; drawn by the averaged weights of the latest "
            f"checkpoint.{of}"
        )
        cells = [element("th", c, scope="col", class_="caption") for c in captions]
        head = element("thead", element("tr", element("th", "point", scope="col"), *cells))
    if any(d.media != "image/png" for d in drawn.values()):
        said += f" Images wider than {_PIXELS} px are compressed (WebP)."
    rows = [
        _row(run, drawn[run.key], captions, marks[run.point], first=run is sweep.of(run.point)[0])
        for run in sweep.runs
    ]
    shape = "strips beside" if asked else "strips"
    slider = element("input", id="side", type="range", min=48, max=320, step=16, value=96)
    return element(
        "section",
        element("h2", "Samples"),
        element("p", said, class_="small"),
        element("div", element("label", "size ", slider), class_="controls"),
        element(
            "div",
            element("table", head, element("tbody", *rows), class_=shape),
            class_="scroll",
            tabindex=0,
        ),
    )


def _row(run: Run, drawn: Drawn, captions: Sequence[str], mark: Markup, first: bool) -> Markup:
    name = f"{run.point}, seed {run.seed}"
    step = "" if drawn.step is None else f", step {drawn.step:,}"
    title = element(
        "th", mark, run.point, element("div", f"seed {run.seed}{step}", class_="small"), scope="row"
    )
    if drawn.images:
        cells = [
            element(
                "td", _picture(image, drawn.media, drawn.side, f"{name}: {caption}".strip(": "))
            )
            for image, caption in zip(drawn.images, captions, strict=True)
        ]
    else:
        why = element("div", drawn.why, class_="missing") if drawn.why else ""
        grid = drawn.grid and _picture(drawn.grid, "image/png", 0, f"{name}: training grid")
        none = element("div", "no grid of its training", class_="missing")
        cells = [element("td", why, grid or none, colspan=len(captions))]
    return element("tr", title, *cells, data_point=run.point, class_="first" if first else None)


def _picture(file: bytes, media: str, side: int, title: str) -> Markup:
    """side: the width of a sample; 0 for a grid."""
    kind = "grid" if not side else "pixels" if side <= _PIXELS else None
    source = f"data:{media};base64,{base64.b64encode(file).decode()}"
    image = element("img", src=source, alt=title, class_=kind)
    return element("button", image, class_="zoomable", type="button", title=title)


def _costs(sweep: Sweep) -> Markup:
    return element(
        "section",
        element("h2", "Cost"),
        tables.costs(sweep),
        element(
            "p",
            "Means over the runs of a point, by their provenance.json, as of their latest "
            "checkpoints: with compiling, logging, waiting and what is evaluated during training.",
            class_="small",
        ),
    )


def _conditions(columns: Sequence[table.Column]) -> Markup:
    """What the numbers of each protocol were measured under."""
    parts = []
    for protocol, identity in dict.fromkeys((c.protocol, c.identity) for c in columns):
        of = [c for c in columns if (c.protocol, c.identity) == (protocol, identity)]
        lines = [
            element("tr", element("th", field, scope="row"), element("td", text(value)))
            for field, value in of[0].conditions.items()
        ]
        differs = f" [{of[0].differs}]" if of[0].differs else ""
        summary = f"{protocol}{differs}: {', '.join(c.name for c in of)}"
        body = element("div", element("table", element("tbody", *lines)), class_="scroll")
        parts.append(element("details", element("summary", summary), body))
    if not parts:
        return Markup()
    return element("section", element("h2", "What the numbers were measured under"), *parts)
