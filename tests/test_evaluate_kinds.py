"""Protocols beside those of numbers, from the command line: what they write and count."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_runs import gan_run, style_run

from t2i_jax import Sampler
from t2i_jax.commands import evaluate
from t2i_jax.data import catalog
from t2i_jax.evaluation import networks, results
from t2i_jax.evaluation.extractors.pixels import vectors
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.style_verification import poses
from t2i_jax.evaluation.trained_run import placed
from t2i_jax.training import build, runs


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return gan_run(folder / "one"), gan_run(folder / "two")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(networks.CACHE, str(tmp_path / "cache"))


@pytest.fixture
def run(workdirs, data_dir, tmp_path, capsys):
    def call(protocol, *argv, workdir=workdirs[0], out=tmp_path / "out", data=True):
        usual = [f"--protocol={protocol}", f"--workdir={workdir}", f"--out={out}"]
        evaluate.main([*usual, *([f"--data_dir={data_dir}"] if data else []), *argv])
        file = out / f"{protocol}.json"
        return json.loads(file.read_text()) if file.exists() else {}

    return call


@pytest.fixture
def held_out(workdirs, data_dir):
    return HeldOut(build.data_options(placed(runs.read_config(workdirs[0]), data_dir)))


def test_diversity(run, workdirs, held_out):
    found = run("diversity", "--num=2")["values"]
    sampler, captions = Sampler.from_workdir(workdirs[0]), held_out.captions(2)
    expected = []
    for i, caption in enumerate(captions):
        drawn = vectors(sampler.sample([caption], num=10, first=10 * i))
        apart = np.linalg.norm(drawn[:, None] - drawn, axis=-1)
        expected.append(apart.sum() / 90)
    assert found["mean_distance"] == pytest.approx(np.mean(expected), rel=1e-3)
    assert found["nearest_distance"] < found["mean_distance"] < found["mean_distance_of_real"]
    assert found["ms_ssim"] > found["ms_ssim_of_real"]
    (record,) = [
        r for r in results.read(workdirs[0] / results.FOLDER)[0] if r.protocol == "diversity"
    ]
    assert record.lower_is_better == ["ms_ssim"] and record.values == found


def test_the_objects_of_a_detector_are_counted(run, tmp_path):
    captions = tmp_path / "captions.txt"
    captions.write_text("a dog and a cat\nred things\ntwo dogs\n")
    place = tmp_path / "images"
    run("soa", f"--captions_file={captions}", f"--save_samples={place}")
    targets = json.loads((tmp_path / "images.targets.json").read_text())
    # Three images of each caption for each class that it names: 17 is cat, 18 is dog.
    assert [t["category_id"] for t in targets] == [17] * 3 + [18] * 6
    assert len(list(place.glob("*.png"))) == 9
    found = [
        {"image_id": t["image_id"], "category_id": 18, "bbox": [0, 0, 1, 1], "score": score}
        for t, score in zip(targets, [0.9] * 5 + [0.4] * 4, strict=True)
    ]
    detections = tmp_path / "found.json"
    detections.write_text(json.dumps(found))
    values = run("soa", f"--images={place}", f"--detections={detections}", data=False)["values"]
    assert values["soa_i"] == pytest.approx(2 / 9) and values["soa_c"] == pytest.approx(1 / 6)


def test_styles_are_verified(run, held_out, tmp_path):
    workdir = style_run(tmp_path / "style", "data.size=32", "data.name=toy_birds")
    found = run("style_verification", "--num=25", workdir=workdir)
    assert set(found["verification"]) == {f"{k}_by_style" for k in ("pose", "perch", "background")}
    groups = tmp_path / "groups.csv"
    source = held_out.source
    names = [source[i]["image/filename"] for i in range(len(source))]
    groups.write_text("".join(f"{name},{i % 3}\n" for i, name in enumerate(names)))
    found = run("style_verification", f"--groups={groups}", workdir=workdir)
    assert found["groups"]["group"] == {"images": 25, "groups": 3}
    assert 0 <= found["verification"]["group_by_style"]["mean"] <= 1
    with pytest.raises(SystemExit):
        run("style_verification", "--encoder=/nowhere", workdir=workdir)


def test_poses_are_clusters_of_visible_parts(tmp_path, monkeypatch):
    """Two poses, a hundred images of each, and one that hides a part."""
    from t2i_jax.evaluation import style_verification

    monkeypatch.setattr(style_verification, "CLUSTERS", 2)
    (tmp_path / "parts").mkdir()
    (tmp_path / "images").mkdir()
    rng, lines, records, listed = np.random.default_rng(0), [], [], []
    for i in range(1, 8):
        width = 10 * i  # of coordinates only their share of the width counts
        Image.new("RGB", (width, 20)).save(tmp_path / "images" / f"{i}.png")
        listed.append(f"{i} {i}.png\n")
        records.append({"image/filename": f"x/{i}.png"})
        for part in style_verification.PARTS:
            left = 0.2 if i % 2 else 0.8
            x, y = (left + 0.02 * rng.random()) * width, 10 * (1 + 0.02 * rng.random())
            visible = int(not (i == 7 and part == 4))
            lines.append(f"{i} {part} {x:.3f} {y:.3f} {visible}\n")
    (tmp_path / "images.txt").write_text("".join(listed))
    file = tmp_path / "parts" / "part_locs.txt"
    file.write_text("".join(lines))
    found = poses(records, range(7), str(file), seed=0)
    assert found[6] == -1 and found[0] == found[2] == found[4] != found[1] == found[3] == found[5]
    file.write_text("1 2 3\n")
    with pytest.raises(ValueError, match="part_locs.txt, line 1: not an image, a part"):
        poses(records, range(7), str(file), seed=0)


def test_a_page_for_raters_and_their_answers(run, workdirs, tmp_path, capsys):
    out = tmp_path / "rating"
    run("rating", f"--against={workdirs[1]}", "--num=4", out=out)
    key = json.loads((out / "assignments.json").read_text())
    assert key["runs"] == ["one", "two"]
    page = (out / "rating.html").read_text()
    assert str(workdirs[0]) not in page and "assignments" not in page
    answers = tmp_path / "a.csv"
    rows = ["page,rater,item,question,choice,seconds"]
    for i in range(len(key["items"])):
        rows.append(f"{key['page']},Ann,{i + 1},realism,1>2,2.0")
    answers.write_text("\n".join(rows) + "\n")
    found = run("rating", f"--ratings={answers}", out=out)
    asked = [item for item in key["items"] if item["repeats"] is None]
    first = np.mean([item["runs"][0] == "one" for item in asked])
    assert found["questions"]["realism"]["first"]["one"]["share"] == pytest.approx(first)
    with pytest.raises(SystemExit):
        run("rating")
    assert "name another with --against=RUN" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("rating", f"--against={workdirs[0]}")
    assert "compared with itself" in capsys.readouterr().err


def test_what_is_looked_at(run, held_out, tmp_path):
    found = run("nearest", "--num=6")
    assert found["n"] == 6 and found["n_real"] == 6 and found["nearest"]["copies_samples"] == 0
    assert Image.open(tmp_path / "out" / "nearest.png").width > 6 * 32
    found = run("grid", "--num=3")
    assert found["captions"] == held_out.captions(3) and found["columns"] == 8
    assert (tmp_path / "out" / "grid.png").exists()
