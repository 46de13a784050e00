"""SIGKILL at random moments: while a training starts, and between any two of its saves."""

import time
from collections.abc import Iterator

from train_commands import metrics

from stress_kinds.ground import EVERY, Ground, differences, left, saved
from stress_kinds.outcome import Outcome

KIND = "killed at a random moment"


def trials(ground: Ground, count: int) -> Iterator[Outcome]:
    """Kills one training `count` times, lets it end, and compares it with one that was left alone.

    Every third kill falls into the start of the process, the others into its steps and saves.
    """
    steps = 5 * EVERY * (count + 2)
    expected = left(ground.undisturbed(steps))
    workdir = ground.fresh("killed")
    before = reached = 0
    for number in range(1, count + 1):
        command = ground.train(workdir, steps)
        if number % 3 == 0:
            time.sleep(ground.rng.uniform(0, ground.seconds[0]))
        else:
            command.wait_for(reached + 1)
            ground.soon(3)
        command.process.kill()
        _, printed = command.finish()
        faults = _faults(printed, before)
        reached, last = max(metrics(workdir), default=0), saved(workdir)
        if last < before:
            faults.append(f"checkpoint {before} was there and is gone, the newest is {last}")
        if reached - last > 2 * EVERY:
            faults.append(f"step {reached} was done, but only {last} is saved")
        before = last
        yield _outcome(f"kill {number} after step {reached}", faults)
    status, printed = ground.train(workdir, steps).finish()
    faults = [printed[-500:]] if status else []
    faults += _faults(printed, before) + differences(expected, workdir)
    yield Outcome(
        f"{KIND}: the end",
        f"{steps} steps with {count} kills",
        "another than undisturbed" if faults else "every loss, weight and picture the same",
        not faults,
        "; ".join(faults),
    )


def _faults(printed: str, last: int) -> list[str]:
    """Of what a start says: it must go on from the checkpoint that was the last."""
    if "compiled the step" in printed and last:
        if f"resumed from step {last:,} in" not in printed:
            return [f"did not go on from {last}: {printed[-500:]}"]
    return [printed[-1000:]] if "Traceback" in printed else []


def _outcome(what: str, faults: list[str]) -> Outcome:
    how = "lost something" if faults else "goes on from its last checkpoint"
    return Outcome(KIND, what, how, not faults, "; ".join(faults))
