"""One writer for a directory."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from t2i_jax.owner import FILE, OwnedError, Owner, turn

HOLD = "import sys, t2i_jax.owner as o; x = o.Owner(sys.argv[1], 'a test'); print(1, flush=True); "


def held(directory) -> subprocess.Popen:
    """A process that holds the directory until it is killed."""
    command = [sys.executable, "-c", HOLD + "sys.stdin.read()", str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_another_process_is_named_and_its_kill_frees_the_directory(tmp_path):
    other = held(tmp_path / "run")
    try:
        with pytest.raises(OwnedError) as error:
            Owner(tmp_path / "run", "a training")
    finally:
        other.kill()
        other.wait()
    for part in ("a test", str(other.pid), socket.gethostname(), str(tmp_path / "run")):
        assert part in str(error.value)
    with Owner(tmp_path / "run", "a training"):  # the file is still there
        found = json.loads((tmp_path / "run" / FILE).read_text())
        assert (found["what"], found["process"]) == ("a training", os.getpid())


def test_the_same_process_is_refused_until_it_has_closed(tmp_path):
    with Owner(tmp_path, "a training"):
        with pytest.raises(OwnedError, match="a training since"):
            Owner(tmp_path, "a training")
    Owner(tmp_path, "a training").close()


def test_what_else_lies_in_the_file_is_not_needed(tmp_path):
    other = held(tmp_path)
    (tmp_path / FILE).write_text("{")
    try:
        with pytest.raises(OwnedError, match="in use by another process"):
            Owner(tmp_path, "a training")
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
def test_a_directory_that_goes_away_is_noticed(tmp_path, how):
    folder = tmp_path / "run"
    with Owner(folder, "a training") as owner:
        owner.check()
        folder.rename(tmp_path / "elsewhere")
        if how == "removed":
            shutil.rmtree(tmp_path / "elsewhere")
        elif how == "replaced":
            folder.mkdir()
            (folder / FILE).write_text("{}")
        with pytest.raises(FileNotFoundError, match=f"{folder} was removed, renamed or replaced"):
            owner.check()


def test_taking_turns_between_processes(tmp_path):
    """A process that waits goes on when the one before has been killed."""
    code = "import sys, t2i_jax.owner as o, pathlib, time\nwith o.turn(pathlib.Path(sys.argv[1])): "
    lock = tmp_path / "x.lock"
    command = [sys.executable, "-c", f"{code}print(1, flush=True); time.sleep(60)", str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        entered = threading.Event()

        def enter():
            with turn(lock):
                entered.set()

        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.3)
        process.kill()
        assert entered.wait(20)
        thread.join()
