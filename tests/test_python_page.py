"""The code of docs/python.md and the notebook run as they stand there, on smaller numbers."""

import pathlib
import re

import pytest
from devices import use_devices
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# What stands on the page, each once: what the test takes for it.
SMALLER = {
    '"toy_birds_mixed", data_dir="data", num_images=5000, size=64': (
        '"toy_birds", data_dir="data", num_images=200, size=32'
    ),
    "gan_int_cls.py:toy_birds_damsm": "gan_int_cls.py:debug",
    '"encoder.source": "runs/encoder", "frozen.damsm": "runs/encoder"': (
        '"train.duration": "1 steps", "train.sample_every": "0 steps"'
    ),
    '"frechet1k"': '"frechet20"',
    ", num=4)\nfound.pictures": ", num=2)\nfound.pictures",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder that looks like the repository to code that runs in it."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("T2I_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))  # of the kernel
    return tmp_path


def test_the_code_of_the_page(place, monkeypatch, capsys):
    use_devices(monkeypatch, 1)
    text = (DOCS / "python.md").read_text()
    for shown, smaller in SMALLER.items():
        assert text.count(shown) == 1, shown
        text = text.replace(shown, smaller)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    out = capsys.readouterr().out
    assert "Report of toy_birds/32px_200_seed0 in data/" in out
    assert "TrainingResult(workdir='runs/birds', system='gan_int_cls', step=1, metrics={'d/" in out
    assert "Sampler(system='gan_int_cls', data='toy_birds/32px_200_seed0', size=32, step=1" in out
    assert "duration: 200 steps" in out and names["other"].optim.g.lr == 1e-4
    assert Image.open("from_red_to_blue.png").width > 5 * 128
    assert (place / "runs" / "another" / "config.json").exists()
    assert names["found"].protocol == "grid"


def test_the_notebook_runs_and_shows_what_it_says(place):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(DOCS / "first_steps.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(place / "docs")}}
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in shown]
    assert not any("\x1b" in text for text in texts), "no codes of terminals"
    whole = "\n".join(texts)
    assert "Report of toy_birds/48px_200_seed0" in whole
    assert "step 20/20 (100.0 %)" in whole and "Sampler(system='gan_int_cls'" in whole
    pictures = [output["data"] for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    pages = [d["data"]["text/html"] for d in shown if "text/html" in d.get("data", {})]
    assert "mean_distance" in pages[-1]
    errors = [output for output in shown if output.output_type == "error"]
    assert not errors and "Warning" not in whole
