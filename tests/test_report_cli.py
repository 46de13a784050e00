"""``python -m t2i_jax.report``: samples of a real run, files, and errors in one line."""

import csv
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from reporting.fake_sweeps import fids, record, run
from tiny_runs import gan_run

import t2i_jax
from t2i_jax import paths
from t2i_jax.commands import report
from t2i_jax.reporting import samples

CAPTIONS = ("a small red bird", "a blue bird with black wings")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two seeds of one point, of which one has no checkpoint, and captions for them."""
    root = tmp_path_factory.mktemp("sweep")
    gan_run(root / "seed0" / "gan")
    (root / "seed1" / "gan").mkdir(parents=True)
    config = (root / "seed0" / "gan" / "config.json").read_text()
    (root / "seed1" / "gan" / "config.json").write_text(config)
    (root / "captions.txt").write_text("\n".join([*CAPTIONS, "one too many"]))
    return root


def test_samples_are_those_of_the_sampler_and_are_kept(sweep, tmp_path, capsys, monkeypatch):
    asked = [str(sweep), "--num=2", "--seed=3", f"--captions_file={sweep / 'captions.txt'}"]
    seen = {}
    drawn = samples.drawn
    monkeypatch.setattr(samples, "drawn", lambda one, *a: seen.setdefault(one.key, drawn(one, *a)))
    report.main([*asked, f"--out={tmp_path / 'a'}"])
    said = capsys.readouterr()
    assert "drawing 2 images" in said.err and said.out.count("wrote ") == 3
    first = dict(seen)
    expected = t2i_jax.Sampler.from_workdir(sweep / "seed0" / "gan").sample(CAPTIONS, seed=3)
    shown = [np.asarray(Image.open(io.BytesIO(file))) for file in first["gan", "0"].images]
    np.testing.assert_array_equal(shown, expected)
    assert first["gan", "0"].step == 2
    assert first["gan", "1"].why == "it has no checkpoint yet"
    seen.clear()
    report.main([*asked, f"--out={tmp_path / 'b'}"])
    assert "drawing" not in capsys.readouterr().err and seen == first
    with (tmp_path / "b" / "report.csv").open(encoding="utf-8") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1"]


def test_without_data_the_grids_are_shown(sweep, tmp_path, capsys):
    report.main([str(sweep), f"--out={tmp_path}"])
    assert "drawing" not in capsys.readouterr().err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "there are no captions to draw from" in text and "nowhere" in text


def test_columns_that_are_no_metric_are_refused_with_those_that_are(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    fids(tmp_path / "some", {"gan": [1.0]})
    fids(tmp_path / "none", {"gan": []})
    for folder, message in (
        ("some", "each of --columns must be one of 'fid2k/fid', got 'fid'"),
        ("none", "--columns=fid: no run has been evaluated, there are no columns"),
    ):
        with pytest.raises(SystemExit) as stopped:
            report.main([str(tmp_path / folder), "--columns=fid"])
        assert stopped.value.code == 2
        assert capsys.readouterr().err.splitlines() == [f"error: {message}"]
        assert not (tmp_path / folder / "report.md").exists()


def test_columns_are_picked_and_ordered_in_all_outputs(tmp_path):
    values = {"fid": 1.0, "kid": 2.0, "is": 3.0}
    found = [
        record("fid2k", step, values, conditions={"n": n}) for n in (10, 20) for step in (1, 2)
    ]
    run(tmp_path / "gan", {}, [*found, record("other", 1, {"kid": 4.0})])
    report.main([str(tmp_path), "--num=0", "--columns=other/kid, fid2k/fid"])
    labels = ["other: kid ↑", "fid2k: fid [n=10] ↑", "fid2k: fid [n=20] ↑"]
    read = {
        n: (tmp_path / f"report.{n}").read_text(encoding="utf-8") for n in ("md", "csv", "html")
    }
    heads = read["md"].splitlines()[2].replace("\\", "").strip("| ").split(" | ")
    assert heads == ["point", "overrides", "seeds", *labels]
    fields = read["csv"].splitlines()[0].split(",")
    assert [field for field in fields if field[-1] in "↑↓"] == labels
    buttons = re.findall(r'title="sort">([^<]+)<', read["html"])
    assert buttons[3:6] == ["kid ↑", "fid ↑", "fid ↑"] and "is ↑" not in read["html"]


@pytest.mark.parametrize(
    "argv, message",
    [
        (["/nowhere"], "error: /nowhere: there is no such folder"),
        (["{tmp}"], "no run is there"),
        (["a", "b"], "--out=DIR is needed for more than one folder"),
        (["{tmp}", "--num=65"], "num=65: must be a whole number from 0 to 64"),
        (["{tmp}", "--captions_file={tmp}/empty.txt"], "empty.txt: it has no captions"),
        (["{tmp}", "--captions_file=/nowhere.txt"], "/nowhere.txt"),
        (["{tmp}", "--out=ftp://x/y"], "there is no protocol ftp://"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, capsys, monkeypatch, argv, message):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(SystemExit) as stopped:
        report.main([argument.format(tmp=tmp_path) for argument in argv])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and message in said
    assert "Traceback" not in said


def test_runs_and_report_may_lie_in_a_store(store, tmp_path):
    fids(tmp_path, {"gan": [1.0, 3.0], "cls": [5.0, 5.5]})
    for file in sorted(tmp_path.rglob("*.json*")):
        target = f"gs://bucket/sweep/{file.relative_to(tmp_path)}"
        paths.write_bytes(paths.path(target), file.read_bytes())
    report.main(["gs://bucket/sweep", "--num=0"])
    found = paths.read_bytes(paths.path("gs://bucket/sweep/report.md")).decode()
    assert "| gan |  | 2 | **2.000 ± 1.414** |" in found


def test_a_report_without_samples_loads_no_jax(sweep, tmp_path):
    code = (
        "import sys; from t2i_jax.commands import report;"
        f"report.main([{str(sweep)!r}, '--num=0', '--out={tmp_path}']);"
        "assert 'jax' not in sys.modules and 'orbax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
