"""launch/reading_ratio.py runs, and its ratios are those of the times that it tells."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytest.importorskip("simplejpeg")


def test_the_ratio_is_that_of_the_times(tmp_path):
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (90, 70), (9 * i, 100, 50)).save(tmp_path / f"{i}.jpg")
    Image.new("RGB", (90, 70)).save(tmp_path / "other.jpg", "PNG")
    command = [sys.executable, ROOT / "launch" / "reading_ratio.py", f"--photos={tmp_path}"]
    command += ["--size=32", "--rounds=1", "--seconds=0.05", f"--out={tmp_path / 'out.json'}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("3 photos of 90 x 70 pixels")  # the PNG is left out
    (found,) = json.loads((tmp_path / "out.json").read_text())["rounds"]["this"]
    for line, resize in zip(printed.splitlines()[2:], ("square", "short_side"), strict=True):
        ratio = found["simplejpeg"]["image"] / found[resize]["image"]
        assert line.split()[:2] == [resize, f"{ratio:.2f}"]
