"""A disk that is full when a run goes on: a small file system of memory, mounted for one process
and its children (``unshare -rm``), which Linux allows with or without being root.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

from stress_kinds.damages import BASE, END
from stress_kinds.ground import Ground, differences, left, saved
from stress_kinds.outcome import Outcome

KIND = "full disk"
ROOM = (0.0, 0.1, 0.5, 0.9)  # of a checkpoint, when a run goes on
FRESH = 12_000  # bytes for a new run: less than the vectors of its captions


def trials(ground: Ground) -> Iterator[Outcome]:
    """A run goes on with too little room for its next checkpoint, and again when there is room."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        yield Outcome(KIND, "all", "not tried: unshare -rm is not allowed here")
        return
    ground.undisturbed(BASE), ground.undisturbed(END)
    command = ["unshare", "-rm", sys.executable, "-m", "stress_kinds.full_disk"]
    env = {**os.environ, **ground.variables}
    child = subprocess.Popen(
        [*command, str(ground.folder)], stdout=subprocess.PIPE, text=True, env=env
    )
    for line in child.stdout:
        yield Outcome(**json.loads(line))
    if child.wait():
        yield Outcome(KIND, "the script", "ended early", False, f"exit code {child.returncode}")


def _inside(folder: pathlib.Path) -> Iterator[Outcome]:
    """In the process that may mount."""
    ground = Ground(folder)
    base, expected = ground.undisturbed(BASE), _weights(left(ground.undisturbed(END)))
    disk = ground.fresh("disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    checkpoint = sum(path.stat().st_size for path in (base / "checkpoints" / str(BASE)).rglob("*"))
    for room in ROOM:
        what = f"a run that goes on, with room for {room:.0%} of a checkpoint"
        yield _trial(ground, disk, what, base, int(room * checkpoint), expected)
    yield _trial(ground, disk, "a new run", None, FRESH, expected)


def _trial(ground: Ground, disk, what: str, base, room: int, expected: dict) -> Outcome:
    workdir = disk / "run"
    shutil.rmtree(workdir, ignore_errors=True)
    if base is not None:
        shutil.copytree(base, workdir)
    filler = _fill(disk, room)
    status, printed = ground.train(workdir, END).finish()
    faults = [] if status == 2 else [f"exit code {status}"]
    if "Traceback" in printed or str(workdir) not in printed.rpartition("error: ")[2]:
        faults.append(printed[-1500:])
    if base is not None and saved(workdir) < BASE:
        faults.append(f"checkpoint {BASE} is gone")
    filler.unlink()
    status, printed = ground.train(workdir, END).finish()
    faults += [printed[-1500:]] if status else differences(expected, workdir)
    how = "ended badly" if faults else "a plain error; goes on when there is room"
    return Outcome(KIND, what, how, not faults, "; ".join(faults))


def _weights(end: dict) -> dict:
    """Without the pictures, of which a run that was to end before has one more."""
    return {k: v for k, v in end.items() if k not in ("pictures", "files")}


def _fill(disk: pathlib.Path, room: int) -> pathlib.Path:
    """Leaves so many bytes free."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"0" * 65536)
    os.truncate(filler, max(filler.stat().st_size - room, 0))
    return filler


if __name__ == "__main__":
    for outcome in _inside(pathlib.Path(sys.argv[1])):
        print(json.dumps(dataclasses.asdict(outcome)), flush=True)
