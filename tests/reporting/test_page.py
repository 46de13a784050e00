"""The page: well-formed whatever the names hold, and in need of nothing else."""

import html.parser
import io
import json

import numpy as np
from PIL import Image

from t2i_jax.reporting import page, samples, table
from t2i_jax.reporting.gather import gather
from t2i_jax.reporting.markup import Markup, element, joined

from .fake_sweeps import fids, record, run, start

NASTY = """<script>alert("x")</script>&amp;'"$style{{x}}"""


class Parsed(html.parser.HTMLParser):
    """The tags, attributes and text of a page; every tag must be closed by its own."""

    void = ("meta", "link", "img", "input", "br")

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_elements_escape_what_is_no_markup():
    made = element(
        "td", "<b>", Markup("<i></i>"), class_="a", title='"&', data_value=3, hidden=True
    )
    expected = '<td class="a" title="&quot;&amp;" data-value="3" hidden>&lt;b&gt;<i></i></td>'
    assert made == expected
    assert element("input", checked=False, title=None, type="text") == '<input type="text">'
    assert joined(["a<", Markup("<br>")]) == "a&lt;<br>"


def nasty_page(tmp_path) -> str:
    name = NASTY.replace("/", "∕")  # no folder may hold it
    found = [
        record(
            NASTY,
            100,
            {NASTY: 1.0},
            conditions={NASTY: NASTY, "n": n},
            spreads={NASTY: 0.5},
        )
        for n in (1, 2)
    ]
    row = {"step": 1, NASTY: 2.0, "g/total": 1.0}
    gan = run(tmp_path / name, {"loss": NASTY}, found, [row], [start(0, 1, 1.0, devices=NASTY)])
    run(tmp_path / "other", {"loss": 1.0}, rows=[row])
    (gan / "samples").mkdir()
    Image.new("RGB", (9, 9)).save(gan / "samples" / "step_00000001.png")
    plan = [{"name": NASTY, "seed": NASTY, "status": NASTY, "error": NASTY}]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(tmp_path)])
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    shown = samples.Drawn(images=tuple(_png(p) for p in pixels), side=4, step=1)
    drawn = {one.key: samples.Drawn(why=NASTY) for one in sweep.runs}
    drawn[sweep.of("other")[0].key] = shown
    asked = samples.Asked((NASTY, "a bird"), NASTY, 0)
    return page.page(sweep, table.columns(sweep), asked, drawn)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_names_and_captions_are_text_whatever_they_hold(tmp_path):
    text = nasty_page(tmp_path)
    parsed = Parsed(text)
    assert parsed.tags.count("script") == 2, "the data's and the page's own"
    everything = "".join(parsed.text)
    captions = [v for k, v in parsed.attributes if k == "alt" and NASTY in (v or "")]
    assert NASTY in everything and captions
    data = text.split('id="curves-data">')[1].split("</script>")[0]
    assert NASTY in json.loads(data)["metrics"]


def test_nothing_is_fetched(tmp_path):
    parsed = Parsed(nasty_page(tmp_path))
    addresses = [v for k, v in parsed.attributes if k in ("src", "href", "srcset", "action")]
    assert addresses and all(address.startswith("data:") for address in addresses)
    policies = [v for k, v in parsed.attributes if k == "content" and "default-src" in v]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ]


def test_bold_and_notes_are_on_the_page(tmp_path):
    fids(tmp_path, {"good": [1.0, 1.2], "bad": [3.0, 3.1]})
    (tmp_path / "seed1" / "bad" / "metrics.jsonl").write_text("nonsense\n")
    sweep = gather([str(tmp_path)])
    drawn = {one.key: samples.Drawn() for one in sweep.runs}
    text = page.page(sweep, table.columns(sweep), None, drawn, "no captions are there.")
    assert "<strong>1.100 ± 0.141</strong>" in text and text.count("<strong>") == 1
    assert "bad/metrics.jsonl: damaged lines are left out: 1" in text
    assert "no captions are there." in text and table.RULE in text
