"""An exported folder takes the place of an earlier one, and of nothing else."""

import os
import subprocess
import sys

import pytest

from t2i_jax.exporting.place import whole

FILES = ("mark.json", "part/weights", "old")
KEPT = ("evaluation", "report.html")


def export(out, *files):
    with whole(out, "mark.json", FILES, KEPT) as folder:
        for name in ("mark.json", *files):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)


def held(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_what_others_added_stays(tmp_path):
    out = tmp_path / "birds"
    export(out, "old")
    (out / "evaluation" / "grids").mkdir(parents=True)
    (out / "evaluation" / "grids" / "a.png").touch()
    (out / "report.html").touch()
    export(out, "part/weights")
    assert held(out) == {"mark.json", "part/weights", "evaluation/grids/a.png", "report.html"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    "files", [["notes.txt"], ["part/notes.txt", "mark.json"], ["old"], ["report.html"]]
)
def test_what_is_no_export_stays_as_it_is(files, tmp_path):
    """Something else, and names of an export without its mark, as of a folder of the user's."""
    (tmp_path / "mine" / "part").mkdir(parents=True)
    for name in files:
        (tmp_path / "mine" / name).touch()
    with pytest.raises(ValueError, match=r"mine is there and holds \S+, which is of no such"):
        export(tmp_path / "mine")
    assert held(tmp_path / "mine") == set(files)


def test_a_link_stays_one(tmp_path):
    """Also to a folder that is not there yet."""
    (tmp_path / "link").symlink_to("disk")
    for _ in range(2):
        export(tmp_path / "link")
        assert held(tmp_path / "disk") == {"mark.json"}
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "link"]


def test_the_current_folder_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a mount or the current folder: name a new folder"):
        export(tmp_path.relative_to(tmp_path))


def test_what_a_kill_left_goes_with_the_next_export(tmp_path):
    """What an export that still runs writes stays."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getppid()):
        (tmp_path / f".birds.partial-{process}").mkdir()
    (tmp_path / f".birds2.partial-{ended.pid}").mkdir()
    export(tmp_path / "birds")
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"birds", f".birds.partial-{os.getppid()}", f".birds2.partial-{ended.pid}"}


def test_nothing_is_lost_where_no_folder_can_be_put(tmp_path, monkeypatch):
    out = tmp_path / "birds"
    export(out, "old")
    rename = type(out).rename

    def fail(path, to):
        if path.name.endswith(f"partial-{os.getpid()}"):
            raise OSError("no rename")
        return rename(path, to)

    monkeypatch.setattr(type(out), "rename", fail)
    with pytest.raises(OSError, match="no rename"):
        export(out, "part/weights")
    assert held(out) == {"mark.json", "old"} and list(tmp_path.iterdir()) == [out]
