"""Runs the points of a sweep as processes of this machine, so many at a time."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from t2i_jax import owner, paths, signals
from t2i_jax.sweeps import evals
from t2i_jax.sweeps import state as states
from t2i_jax.sweeps.jobs import Job, waiting
from t2i_jax.sweeps.points import Point, Sweep
from t2i_jax.sweeps.showing import Show
from t2i_jax.sweeps.slots import Slot
from t2i_jax.sweeps.state import DONE, FAILED, PRUNED, RUNNING, WAITING, State

POLL = 0.2  # seconds between two looks at the processes
LOOK = 2.0  # and between two at how far they are
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOPS = (*SIGNALS, signal.SIGKILL)  # a second one kills


class Queue(Protocol):
    """What is to be run."""

    def next(self) -> Point | None:
        """A point that can begin now, or None."""

    def left(self) -> int:
        """Steps that have not been done of all that are to be trained."""

    def count(self) -> int:
        """Points that have ended, of those that are wanted."""

    def prune(self, point: Point) -> bool:
        """Whether a training that runs is hopeless."""

    def ended(self, point: Point) -> None:
        """Takes note that a point is run no more; its standing says why."""


class Grid:
    """Every point once, in their order; one that needs other runs after these."""

    def __init__(self, state: State, points: Sequence[Point]):
        self._state, self._points, self._waiting = state, points, list(points)

    def next(self) -> Point | None:
        for point in list(self._waiting):
            needed = [self._state.points[x] for x in point.needs if x in self._state.points]
            late = [p for p in needed if p in self._waiting or self._state[p].status == RUNNING]
            if late:
                continue
            self._waiting.remove(point)
            lacking = [p.folder for p in needed if self._state[p].status != DONE]
            if not lacking:
                return point
            why = f"it needs {', '.join(lacking)}, which has not been trained to its end"
            self._state.change(point, status=FAILED, error=why)
        return None

    def left(self) -> int:
        standings = [self._state[point] for point in self._points]
        return sum(max(s.total - s.steps, 0) for s in standings if s.status in (WAITING, RUNNING))

    def count(self) -> int:
        ended = (DONE, FAILED, PRUNED)
        return sum(self._state[point].status in ended for point in self._points)

    def prune(self, point: Point) -> bool:
        return False

    def ended(self, point: Point) -> None:
        pass


class Stop:
    """Signals that ask a sweep to end. asked: the first one's number, else 0; times: how often."""

    def __init__(self):
        self.asked, self.times = 0, 0

    @contextlib.contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Inside, they are noted here. One that was ignored before, as by nohup, stays ignored."""
        with signals.heard(SIGNALS, self._hear):
            yield self

    def _hear(self, number: int, _) -> None:
        self.asked, self.times = self.asked or number, self.times + 1


def commands(sweep: Sweep, point: Point, total: int) -> Iterator[list[str]]:
    """What is still to be done for a point, each command when those before it have ended well."""
    run = sweep.run(point)
    if states.done_steps(run) < total:
        yield sweep.training(point)
    for options, command in zip(sweep.evals, sweep.evaluations(point), strict=True):
        if evals.find(options, run) is None:
            yield command


class Runner:
    """Runs what a queue gives, one process a slot. A point that fails stops no other; `state` has
    the outcome. variables: of the environment of every process.
    """

    def __init__(
        self, state: State, queue: Queue, show: Show, stop: Stop, variables: Mapping[str, str]
    ):
        self.state, self.queue, self.show, self.stop = state, queue, show, stop
        self.variables = variables
        self.jobs: dict[Job, Iterator[list[str]]] = {}

    def run(self, slots: Sequence[Slot]) -> None:
        """Returns when the queue gives nothing more, or `stop` was asked: then the processes are
        told to save, and on a second call they are killed. Where this fails itself, as on a full
        disk, no process is left either.
        """
        try:
            self._run(list(slots))
        except BaseException:
            for job in self.jobs:
                job.terminate()
            for job in self.jobs:
                job.wait()
            raise

    def _run(self, free: list[Slot]) -> None:
        looked, stopped = time.monotonic(), 0
        self.show.count(self.queue.count())
        while True:
            while free and not self.stop.asked and (point := self.queue.next()):
                self._begin(point, free)
            if not self.jobs:
                return
            time.sleep(POLL)
            if self.stop.times > stopped:
                stopped = self.stop.times
                self.show.stopping(len(self.jobs), stopped > 1)
                for job in self.jobs:
                    job.kill() if stopped > 1 else job.terminate()
            for job in [job for job in self.jobs if job.poll() is not None]:
                self._ended(job, free)
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                self._look()

    def _begin(self, point: Point, free: list[Slot]) -> None:
        """Starts a point's first process, if there is anything to do for it."""
        state = self.state
        left = self._commands(point)
        command = next(left, None)
        if command is not None:
            first = state[point].started or states.now()
            state.change(point, status=RUNNING, error="", started=first, ended="")
            job = Job(point, state.log_of(point), free.pop(), self.variables)
            self.show.started(point, command, job.log)
            job.start(command)
            self.jobs[job] = left
        else:
            self.queue.ended(point)
            self.show.count(self.queue.count())

    def _commands(self, point: Point) -> Iterator[list[str]]:
        """All that is to be run for a point, after what trains it elsewhere has ended, such
        as what a sweep that was killed has left.
        """
        run = self.state.sweep.run(point)
        if owner.is_owned(run):
            self.show.say(f"{point.folder}: it is trained elsewhere, and waited for")
            yield waiting(run)
        yield from commands(self.state.sweep, point, self.state[point].total)

    def _ended(self, job: Job, free: list[Slot]) -> None:
        """Starts the next process of a job, or sets what has become of its point."""
        point, state = job.point, self.state
        steps = states.done_steps(state.sweep.run(point))
        values = {"steps": steps, **self._outcome(job, steps)}
        well = values["status"] in (DONE, WAITING) and "error" not in values
        if well and not self.stop.asked:
            if command := next(self.jobs[job], None):
                self.show.started(point, command, job.log)
                job.start(command)
                return
        state.change(point, ended=states.now(), **values)
        del self.jobs[job]
        free.append(job.slot)
        self.queue.ended(point)
        self.show.count(self.queue.count())
        self.show.ended(point, state[point])

    def _outcome(self, job: Job, steps: int) -> dict[str, str]:
        """Status and error by how the process ended."""
        status = job.poll()
        number = -status if status < 0 else status - 128
        if job.pruned and number in _STOPS:
            return {"status": PRUNED}
        if number in (_STOPS if self.stop.asked else SIGNALS):
            return {"status": WAITING, "error": f"stopped by {signal.Signals(number).name}"}
        if status:
            return {"status": FAILED, "error": job.why()}
        if steps < self.state[job.point].total:
            if job.waits:
                return {"status": WAITING}
            return {"status": FAILED, "error": "it ended before its last checkpoint was there"}
        return {"status": DONE}

    def _look(self) -> None:
        """Shows how far everything is."""
        for job in self.jobs:
            self.state.note(job.point, steps_now(self.state.sweep.run(job.point)))
            if not job.pruned and not job.waits and self.queue.prune(job.point):
                job.pruned = True
                job.terminate()
        self.show.look({job.point: self.state[job.point] for job in self.jobs}, self.queue.left())


def steps_now(run: paths.Path) -> int:
    """The last step that a training has logged; 0 where that cannot be told cheaply."""
    if paths.protocol(run):
        return 0
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        with (run / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            return int(json.loads(file.read().split(b"\n")[-2])["step"])
    return 0
