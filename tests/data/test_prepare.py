"""The command line of preparing: what it builds, shows, refuses and draws."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from t2i_jax.commands import prepare
from t2i_jax.data import catalog
from t2i_jax.data.report import Report
from t2i_jax.owner import FILE, Owner

from . import disk_sources
from .disk_sources import jsonl, write


@pytest.fixture
def run(tmp_path, capsys):
    """run(arguments) -> (exit status, standard output, standard error)."""

    def main(*arguments):
        status = prepare.main([*map(str, arguments), f"--data_dir={tmp_path / 'data'}"])
        return status, *capsys.readouterr()

    return main


def test_prepares_reports_and_does_nothing_twice(run, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    write(source / "text_c10/003.Sooty_Albatross/Sooty_Albatross_0001_5.txt", "a bird\n{}\n")
    path = tmp_path / "data/t2i_cub/disjoint/1.0.0"
    status, out, err = run("--dataset=cub", f"--source={source}")
    assert status == 0 and out == f"prepared {path}\n"
    assert "cub train: 3 of 3 done" in err and "placeholder {}" in err
    assert "warning: split 'train': 3 records, the complete set has 8,855" in err

    report = json.loads((path / "prepare_report.json").read_text())
    assert report["dataset"] == "cub" and report["config"] == "disjoint"
    assert report["splits"]["train"] == {"records": 3, "captions": 21, "expected": 8855}
    assert report["problems"] == [
        {
            "split": "train",
            "action": "skipped",
            "item": "caption",
            "reason": "placeholder {}",
            "count": 1,
            "examples": ["003.Sooty_Albatross/Sooty_Albatross_0001_5.txt:2"],
        }
    ]
    before = {p: p.stat().st_mtime_ns for p in path.iterdir()}
    status, out, err = run("--dataset=cub", f"--source={source}")
    assert status == 0 and "already prepared; nothing done (--overwrite" in out
    assert "placeholder {}" in err  # the saved report is shown again
    assert before == {p: p.stat().st_mtime_ns for p in path.iterdir()}
    assert Report.load(path).to_json() == report
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["t2i_cub"]


def test_overwrite_replaces_and_a_failure_keeps_the_old(run, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    run("--dataset=cub", f"--source={source}")
    (source / "CUB_200_2011/images/003.Sooty_Albatross/Sooty_Albatross_0001_5.jpg").unlink()
    assert run("--dataset=cub", f"--source={source}", "--overwrite", "--strict")[0] == 1
    assert len(catalog.open_split("cub", str(tmp_path / "data"), "train")) == 3
    assert run("--dataset=cub", f"--source={source}", "--overwrite")[0] == 0
    assert len(catalog.open_split("cub", str(tmp_path / "data"), "train")) == 2
    left = {p.name for p in (tmp_path / "data/t2i_cub/disjoint").iterdir()}
    assert left == {"1.0.0", FILE}


def test_strict_fails_with_the_whole_list_and_keeps_nothing(run, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    write(source / "text_c10/003.Sooty_Albatross/Sooty_Albatross_0001_5.txt", "a bird\n{}\n")
    write(source / "text_c10/001.Black_footed_Albatross/Black_Footed_Albatross_0001_1.txt", "\n")
    status, out, err = run("--dataset=cub", f"--source={source}", "--strict")
    assert status == 1 and out == ""
    assert "placeholder {}" in err and "no caption" in err
    assert "error: cub: 3 things would have to be repaired or skipped" in err
    with pytest.raises(catalog.NotPrepared):
        catalog.open_split("cub", str(tmp_path / "data"), "train")
    assert run("--dataset=cub", f"--source={source}")[0] == 0
    status, _, err = run("--dataset=cub", f"--source={source}", "--strict")
    assert status == 1 and "was prepared before, with 3 things repaired or skipped" in err


def test_leftovers_of_a_killed_preparation_are_named(run, tmp_path):
    left = tmp_path / "data/t2i_toy_birds/8px_2_seed0/incomplete.ABC_1.0.0"
    left.mkdir(parents=True)
    status, _, err = run("--dataset=toy_birds", "--num_images=2", "--size=8")
    assert status == 0 and f"killed, can be deleted: {left}" in err
    assert len(catalog.open_split("toy_birds", str(tmp_path / "data"), "train")) == 2


def test_a_second_preparation_of_the_same_is_refused_before_it_works(run, tmp_path):
    folder = tmp_path / "data/t2i_toy_birds/8px_2_seed0"
    with Owner(folder, "a preparation"):
        status, _, err = run("--dataset=toy_birds", "--num_images=2", "--size=8")
        assert status == 1 and f"error: {folder} is in use by a preparation" in err
        assert run("--dataset=toy_birds", "--num_images=3", "--size=8")[0] == 0  # another one
    assert run("--dataset=toy_birds", "--num_images=2", "--size=8")[0] == 0


def test_errors_are_messages_not_tracebacks(run, tmp_path):
    for arguments, message in (
        (("--dataset=cubs",), "unknown data set 'cubs'. Did you mean 'cub'?"),
        (("--dataset=cub",), "error: cub is made from your own files (--source)"),
        (("--dataset=cub", f"--source={tmp_path}"), f"{tmp_path}/birds/CUB_200_2011/images\n"),
        (("--dataset=cub", f"--source={tmp_path}", "--traces"), "cub has no option traces"),
    ):
        status, out, err = run(*arguments)
        assert status == 1 and out == "" and message in err, err


def test_options_reach_the_builders(run, tmp_path):
    status, out, _ = run("--dataset=toy_birds", "--num_images=3", "--size=12", "--seed=7")
    assert status == 0 and "12px_3_seed7" in out
    source = disk_sources.coco(tmp_path / "coco", "2017")
    write(tmp_path / "src/coco_val_captions.jsonl", disk_sources.narrative("42", 1))
    arguments = (f"--source={tmp_path / 'src'}", f"--images={source}", "--max_side=16")
    status, out, _ = run("--dataset=ln_coco", *arguments)
    assert status == 0 and "coco_side16" in out


def test_preview_draws_images_boxes_and_captions(run, tmp_path):
    source = tmp_path / "src"
    gray = Image.new("RGB", (200, 100), (128, 128, 128))
    for name in ("a.png", "b.png"):
        source.mkdir(exist_ok=True)
        gray.save(source / name)
    captions = ["a gray picture with nothing in it at all " * 12, "nothing"]
    text = jsonl(
        {"image": "a.png", "captions": captions, "box": [80, 30, 40, 40], "class": "x" * 99},
        {"image": "b.png", "captions": ["short"]},
    )
    write(source / "captions.jsonl", text)
    png = tmp_path / "deep" / "out.png"
    status, out, _ = run("--dataset=folder", f"--source={source}", f"--preview={png}")
    assert status == 0 and f"drew {png}" in out
    image = Image.open(png).convert("RGB")
    cell, margin, side = 244, 10, 224
    red = (255, 40, 40)
    # The box's longer side is two thirds of the crop: its edges lie at a sixth and five sixths.
    for x in (side // 6, side * 5 // 6):
        strip = [image.getpixel((margin + x + d, margin + side // 2)) for d in range(-6, 7)]
        assert red in strip
    assert image.getpixel((margin + side // 2, margin + side // 2)) == (128, 128, 128)
    second = image.crop((cell + margin, margin, cell + margin + side, margin + side))
    assert second.getcolors() == [(side * side, (128, 128, 128))]
    below = image.crop((0, margin + side, cell, image.height))
    assert len(below.getcolors(1 << 16)) > 10  # text
    # Texts stay within their cells.
    assert image.crop((margin + side + 2, 0, cell + margin - 2, 300)).getcolors() == [
        (300 * (cell - side - 4), (255, 255, 255))
    ]


def test_module_command(tmp_path):
    command = [sys.executable, "-m", "t2i_jax.prepare", "--dataset=toy_birds", "--num_images=2"]
    command += ["--size=8", f"--data_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("prepared ") and "toy_birds train: 2 of 2 done" in done.stderr
    assert "WARNING" not in done.stderr
