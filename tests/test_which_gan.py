"""The page of launch/which_gan.py, from results made up here."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ("body", "wing", "breast", "crown", "beak")


def compared(folder, system, config, every, diversity, seconds):
    """What `compare_systems.py` leaves of one system."""
    place = folder / f"{system}_0"
    (place / "samples").mkdir(parents=True)
    found = {
        "n": 300,
        "attributes": {name: {"share": every} for name in PARTS},
        "every_colour": {"share": every},
        "diversity": {"mean_ratio": diversity, "nearest_ratio": 0.5},
    }
    (place / "toy_attributes.json").write_text(json.dumps(found))
    (place / f"{config}.json").write_text(json.dumps({"steps": 100, "cpu_seconds": seconds}))
    cost = {"parameters": {"g": 123_000, "d": 45_000}, "images": 10, "program_bytes": 70_000_000}
    (place / "cost.json").write_text(json.dumps([cost]))
    for i in range(6):
        Image.new("RGB", (8, 8), "red").save(place / "samples" / f"{i:03d}_x_00.png")


@pytest.fixture
def page(tmp_path):
    compared(tmp_path, "StackGAN-v2", "stack_gan_v2", 0.25, 0.95, 20.0)
    compared(tmp_path, "DF-GAN", "df_gan", 0.9, 0.2, 40.0)
    compared(tmp_path, "RAT-GAN", "rat_gan", 0.3, 0.9, 60.0)
    command = [sys.executable, "launch/which_gan.py", f"--compared={tmp_path}"]
    command += [f"--out={tmp_path / 'page.md'}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return (tmp_path / "page.md").read_text()


def test_the_page_says_what_the_numbers_say(page, tmp_path):
    assert "**DF-GAN follows captions best**: in 90% of" in page
    assert "near-copies (their distances are 0.20 of" in " ".join(page.split())
    assert "vary what they draw, RAT-GAN follows them best**: 30%" in " ".join(page.split())
    assert "**StackGAN-v2 is the quickest** (20.0 CPU-ms" in page  # 20 s / 100 steps / 10 images
    row = next(line for line in page.splitlines() if line.startswith("| DF-GAN | 40.0"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # 70 MB / 10 images; DF-GAN's published code has 9.7 million parameters in G.
    assert cells[2] == "7.0" and cells[3] == "0.12 + 0.04" and cells[4].startswith("9.7")
    assert "| DF-GAN | 90 | 90 | 90 | 90 | 90 | 90 | 0.20 | 0.50 | 100 |" in page
    # Of 300 coins each, two shares differ by less than 8 points in 95 of 100 cases.
    assert "less than 8 points may differ by chance" in " ".join(page.split())
    picture = np.asarray(Image.open(tmp_path / "compared.png"))
    red = (picture == (255, 0, 0)).all(-1).sum()
    assert red == pytest.approx(3 * 6 * 128**2, rel=0.01), "three systems, six captions"


def test_a_folder_without_results_is_told(tmp_path):
    command = [sys.executable, "launch/which_gan.py", f"--compared={tmp_path}", "--out=x.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "no results of launch/compare_systems.py" in done.stderr
