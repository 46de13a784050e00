"""One training whose devices are other ones at each start."""

from collections.abc import Iterator

from train_commands import metrics

from stress_kinds.damages import BASE
from stress_kinds.ground import EVERY, Ground
from stress_kinds.outcome import Outcome

DEVICES = (1, 4, 1)
ROUNDING = 2e-3  # of losses, 2e-2 of norms: sums in another order, see test_processes.py


def trials(ground: Ground) -> Iterator[Outcome]:
    """`EVERY` steps on each number of devices, compared with all of them on one."""
    expected = metrics(ground.undisturbed(BASE))
    workdir = ground.fresh("devices")
    for turn, count in enumerate(DEVICES, start=1):
        done = turn * EVERY
        status, printed = ground.train(workdir, done, devices=count).finish()
        faults = [printed[-1500:]] if status else []
        if turn > 1 and f"resumed from step {done - EVERY} in" not in printed:
            faults.append(f"did not go on from step {done - EVERY}")
        found = metrics(workdir)
        if list(found) != list(range(1, done + 1)):
            faults.append(f"metrics of the steps {list(found)}")
        for step in found.keys() & expected.keys():
            faults += _unequal(step, expected[step], found[step])
        how = "another training" if faults else "the same losses but for rounding"
        what = f"steps {done - EVERY + 1} to {done} on {count}"
        yield Outcome("another number of devices", what, how, not faults, "; ".join(faults))


def _unequal(step: int, expected: dict[str, float], found: dict[str, float]) -> list[str]:
    def close(name: str, wanted: float) -> bool:
        tolerance = 10 * ROUNDING if "norm" in name else ROUNDING
        return abs(found.get(name, float("inf")) - wanted) <= tolerance * max(abs(wanted), 1e-3)

    bad = [name for name, wanted in expected.items() if not close(name, wanted)]
    return [f"step {step}: {name} is {found.get(name)}, not {expected[name]}" for name in bad]
