"""Two programs that write into one directory, and one that is killed while it holds it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import train_commands

from stress_kinds.endings import STEPS
from stress_kinds.ground import Ground, differences, left
from stress_kinds.outcome import Outcome

NUMBER = 4  # of outcomes
KIND = "two in one directory"


def trials(ground: Ground) -> Iterator[Outcome]:
    """A fresh run directory, an old one, one whose owner was killed, and a data directory."""
    expected = left(ground.undisturbed(STEPS))
    workdir = ground.fresh("owned")
    pair = [ground.train(workdir, STEPS) for _ in range(2)]
    ends = [command.finish() for command in pair]
    refused = min(range(2), key=lambda i: -ends[i][0])  # the one that failed
    faults = _refusal(*ends[refused], "a training", pair[1 - refused].process.pid)
    faults += [ends[1 - refused][1][-1000:]] if ends[1 - refused][0] else []
    yield _outcome("two trainings in a fresh directory", faults + differences(expected, workdir))

    workdir = ground.fresh("owned")
    first = ground.train(workdir, STEPS)
    first.wait_for(1)
    first.process.send_signal(signal.SIGSTOP)  # it holds the directory as long as it likes
    second = ground.train(workdir, STEPS).finish()
    yield _outcome(
        "a second training in a running one", _refusal(*second, "a training", first.process.pid)
    )
    first.process.kill()
    first.finish()
    status, printed = ground.train(workdir, STEPS).finish()
    faults = [printed[-1000:]] if status else differences(expected, workdir)
    how = "lost something" if faults else "a dead owner is none; goes on"
    yield Outcome(KIND, "an owner that was killed", how, not faults, "; ".join(faults))
    yield _outcome("two preparations", _prepared_twice(ground))


def _prepared_twice(ground: Ground) -> list[str]:
    folder = ground.fresh("prepared_twice")
    first = _prepare(ground, folder)
    deadline = time.monotonic() + train_commands.PATIENCE
    while not list(folder.rglob("owner.json")) and first.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = _prepare(ground, folder)
    _, printed = second.communicate()
    faults = _refusal(second.returncode, printed, "a preparation", first.pid)
    first.send_signal(signal.SIGCONT)
    _, printed = first.communicate()
    return faults + ([printed[-1000:]] if first.returncode else [])


def _prepare(ground: Ground, folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "t2i_jax.prepare", "--dataset=toy_birds", "--size=32"]
    command += ["--num_images=40", f"--data_dir={folder}"]
    return subprocess.Popen(
        command,
        env={**os.environ, **ground.variables},
        cwd=train_commands.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _refusal(status: int, printed: str, what: str, process: int) -> list[str]:
    """Faults of how the second was refused."""
    wanted = (f"is in use by {what} since", f"process {process} on", socket.gethostname())
    if status <= 0 or "Traceback" in printed or any(w not in printed for w in wanted):
        return [f"exit code {status}: {printed[-1500:]}"]
    return []


def _outcome(what: str, faults: list[str]) -> Outcome:
    how = "not refused" if faults else "the second refused, host and process named"
    return Outcome(KIND, what, how, not faults, "; ".join(faults))
