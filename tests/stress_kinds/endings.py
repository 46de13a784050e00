"""Every way in which a training is asked to stop, and its directory taken away meanwhile."""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator

from train_commands import SPEC, Command

from stress_kinds.ground import Ground, differences, left
from stress_kinds.outcome import Outcome
from stress_kinds.worker import Worker

STEPS = 24
CODES = {"SIGTERM": 143, "Ctrl-C": 130, "Ctrl-C twice": 130, "SIGHUP": 129, "a closed pipe": 141}
REMOVALS = ("removed", "renamed", "replaced by an empty one")


def trials(ground: Ground) -> Iterator[Outcome]:
    """Asks a training to stop in each way, and lets it go on afterwards."""
    expected = left(ground.undisturbed(STEPS))
    with Worker(ground.variables) as worker, _signals_heard():
        for way, code in CODES.items():
            workdir = ground.fresh("ended")
            command = _running(ground, workdir)
            status, printed = _end(command, way)
            faults = [] if status == code else [f"exit code {status} instead of {code}"]
            if "Traceback" in printed:
                faults.append(printed[-1500:])
            told = (f"--workdir={workdir}", f"--data.data_dir={ground.data}")
            told = (f"--config={SPEC}", *told, *ground.arguments(STEPS))
            status, printed = worker.run("t2i_jax.train", *told)
            faults += [f"does not go on: {printed[-1500:]}"] if status else []
            faults += differences(expected, workdir)
            how = "ended badly" if faults else f"{code} after {way}"
            yield Outcome("asked to stop", way, how, not faults, "; ".join(faults))


def removals(ground: Ground) -> Iterator[Outcome]:
    """Takes the directory of a training away, or puts another in its place."""
    ground.undisturbed(STEPS)
    for way in REMOVALS:
        workdir = ground.fresh("taken_away")
        command = _running(ground, workdir)
        aside = ground.fresh("aside")
        if way == "removed":
            while workdir.exists():  # what is written meanwhile may keep it
                shutil.rmtree(workdir, ignore_errors=True)
        else:
            workdir.rename(aside)
        if way == "replaced by an empty one":
            workdir.mkdir(exist_ok=True)
        status, printed = command.finish()
        told = str(workdir) in printed.rpartition("error: ")[2]
        good = status == 2 and told and "Traceback" not in printed
        how = "noticed, with exit code 2" if good else f"exit code {status}"
        yield Outcome("run directory taken away", way, how, good, "" if good else printed[-1500:])


def _running(ground: Ground, workdir) -> Command:
    """A training at a random moment of its steps."""
    command = ground.train(workdir, STEPS)
    command.wait_for(2)
    ground.soon(2)
    return command


def _end(command: Command, way: str) -> tuple[int, str]:
    if way == "a closed pipe":
        command.process.stderr.close()
        return command.process.wait(), ""
    name = {"Ctrl-C": "SIGINT", "Ctrl-C twice": "SIGINT"}.get(way, way)
    command.process.send_signal(signal.Signals[name])
    if way == "Ctrl-C twice":
        time.sleep(0.02)
        command.process.send_signal(signal.SIGINT)
    return command.finish()


@contextlib.contextmanager
def _signals_heard():
    """Trainings hear all signals, even if this runs in the background or under nohup, which ignore
    some.
    """
    before = {s: signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
