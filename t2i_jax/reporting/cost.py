"""What the points of a sweep cost."""

import dataclasses
import statistics

from t2i_jax.reporting.gather import Sweep


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointCost:
    """Means over the runs of a point whose cost is known.

    runs: how many these are; known_of: of how many; not_done: how many the sweep has not done.
    steps: the fewest and the most.
    hours: of wall clock, compiling and waiting included. device_hours: an hour of one device each.
    total: device-hours of all these runs.
    """

    runs: int
    known_of: int
    not_done: int
    steps: tuple[int, int]
    hours: float
    device_hours: float
    total: float
    images: float
    machine: str
    code: str

    @property
    def counted(self) -> str:
        """``"2 of 3, 1 not done"``."""
        of = "" if self.runs == self.known_of else f" of {self.known_of}"
        return f"{self.runs}{of}{f', {self.not_done} not done' if self.not_done else ''}"

    @property
    def span(self) -> str:
        """``"650 to 2,500"``, or the one number of steps that all have done."""
        return " to ".join(f"{step:,}" for step in dict.fromkeys(self.steps))


def costs(sweep: Sweep) -> dict[str, PointCost | None]:
    """By point; None where no run wrote down what it cost."""
    found = {}
    for point in sweep.points:
        runs = sweep.of(point)
        having = [run for run in runs if run.cost is not None]
        known = [run.cost for run in having]
        found[point] = (
            known
            and PointCost(
                runs=len(known),
                known_of=len(runs),
                not_done=sum(bool(run.status) for run in having),
                steps=(min(c.step for c in known), max(c.step for c in known)),
                hours=statistics.fmean(c.hours for c in known),
                device_hours=statistics.fmean(c.device_hours for c in known),
                total=sum(c.device_hours for c in known),
                images=statistics.fmean(c.images for c in known),
                machine="; ".join(dict.fromkeys(c.machine for c in known)),
                code="; ".join(dict.fromkeys(c.code for c in known if c.code)),
            )
            or None
        )
    return found


def duration(hours: float) -> str:
    """``"12.5 min"``, from an hour on ``"1.50 h"``."""
    return f"{hours:,.2f} h" if hours >= 1 else f"{60 * hours:.1f} min"
