"""What a run remembers of how it came to be."""

import subprocess
import sys

import jax
import pytest

from t2i_jax.training import provenance, sealed
from t2i_jax.training.provenance import FILE, Provenance, commit


def test_starts_are_kept_and_summed(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(provenance.time, "time", lambda: clock[0])
    first = Provenance(tmp_path, 0, 8)
    clock[0] += 1800
    first.update(10)
    clock[0] += 600  # killed here: ten minutes that nothing remembers
    second = Provenance(tmp_path, 10, 8)
    clock[0] += 3600
    second.update(30)
    found = sealed.read(tmp_path / FILE)
    devices = jax.device_count()
    assert found["total"] == {"hours": 1.5, "device_hours": 1.5 * devices, "images": 240}
    steps = [(start["from_step"], start["to_step"]) for start in found["starts"]]
    assert steps == [(0, 10), (10, 30)]
    start = found["starts"][-1]
    assert start["packages"]["jax"] == jax.__version__
    assert start["devices"].startswith(f"{devices} x ")
    assert start["command"] == sys.orig_argv
    assert second.so_far() == f"{1.5 * devices:.2f} device-hours, 240 images"


def test_a_damaged_file_is_named(tmp_path):
    Provenance(tmp_path, 0, 8)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"from_step": 0', '"from_step": 1'))
    with pytest.raises(ValueError, match=f"{FILE} is damaged"):
        Provenance(tmp_path, 0, 8)


def test_the_commit_of_a_file(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    file = tmp_path / "code.py"
    file.write_text("1\n")
    assert commit(file) == ""
    git("init")
    assert commit(file) == ""  # git does not know it
    git("add", "code.py")
    git("commit", "-m", "one")
    assert commit(file) == git("rev-parse", "HEAD")
    file.write_text("2\n")
    assert commit(file) == git("rev-parse", "HEAD") + " and changes"
