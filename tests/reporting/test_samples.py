"""The samples of a report: what is drawn once, drawn again, or cannot be drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from t2i_jax.reporting import samples
from t2i_jax.reporting.gather import gather

from .fake_sweeps import run, start

CAPTIONS = ("a red bird", "a blue bird", "a bird")


class Painter:
    """Draws noise, and counts how often."""

    def __init__(self, side: int = 8):
        self.calls, self.side = 0, side

    def __call__(self, one, step, asked) -> np.ndarray:
        self.calls += 1
        shape = (len(asked.captions), self.side, self.side, 3)
        return np.random.default_rng((step, asked.seed)).integers(0, 256, shape, np.uint8)


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A run with a checkpoint of step 5."""
    monkeypatch.setattr(samples, "latest_step", lambda _: 5)
    run(tmp_path / "gan", starts=[start(0, 5, 1.0)])
    return gather([str(tmp_path)]).runs[0]


def pixels(files) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])


def test_a_second_report_draws_nothing(one):
    painter, asked = Painter(), samples.Asked(CAPTIONS, "", 3)
    first = samples.drawn(one, asked, painter)
    np.testing.assert_array_equal(pixels(first.images), Painter()(one, 5, asked))
    assert (first.media, first.side, first.step) == ("image/png", 8, 5)
    assert samples.drawn(one, asked, painter) == first and painter.calls == 1


def test_what_was_drawn_otherwise_is_drawn_again(one, monkeypatch):
    painter, asked = Painter(), samples.Asked(CAPTIONS, "", 3)
    samples.drawn(one, asked, painter)
    others = (
        samples.Asked(CAPTIONS, "", 4),
        samples.Asked(CAPTIONS[::-1], "", 3),
        samples.Asked(CAPTIONS[:2], "", 3),
    )
    for calls, other in enumerate(others, start=2):
        samples.drawn(one, other, painter)
        assert painter.calls == calls
    (one.workdir / "provenance.json").write_text("of a training that began anew")
    samples.drawn(one, asked, painter)
    assert painter.calls == 5
    monkeypatch.setattr(samples, "latest_step", lambda _: 6)
    samples.drawn(one, asked, painter)
    assert painter.calls == 6


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: b"", lambda data: b"text"])
def test_a_damaged_picture_is_drawn_again(one, damage):
    painter, asked = Painter(), samples.Asked(CAPTIONS, "", 3)
    first = samples.drawn(one, asked, painter)
    (kept,) = (one.workdir / "evaluation" / "report_samples").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert samples.drawn(one, asked, painter) == first and painter.calls == 2


def test_large_images_are_compressed(one):
    asked = samples.Asked(CAPTIONS, "", 3)
    found = samples.drawn(one, asked, lambda *_: np.full((3, 256, 256, 3), 200, np.uint8))
    assert found.media == "image/webp" and found.side == 256
    np.testing.assert_allclose(pixels(found.images), 200, atol=2)


def test_a_run_that_cannot_be_drawn_says_why_and_shows_its_grid(one, monkeypatch):
    (one.workdir / "samples").mkdir()
    for step in (100, 20):
        Image.new("RGB", (step, 4)).save(one.workdir / "samples" / f"step_{step:08d}.png")
    asked = samples.Asked(CAPTIONS, "", 3)

    def refuse(*_):
        raise ValueError("it reads\nno captions")

    found = samples.drawn(one, asked, refuse)
    assert not found.images and found.why == "it reads no captions"
    assert pixels([found.grid]).shape == (1, 4, 100, 3)
    monkeypatch.setattr(samples, "latest_step", lambda _: None)
    assert samples.drawn(one, asked, refuse).why == "it has no checkpoint yet"
    assert samples.drawn(one, None, refuse) == samples.Drawn(grid=found.grid)
