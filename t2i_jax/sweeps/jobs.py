"""The processes of one point of a sweep."""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from t2i_jax import owner, paths
from t2i_jax.sweeps import state as states
from t2i_jax.sweeps.points import Point
from t2i_jax.sweeps.slots import Slot

_TOLD = 2000  # characters at the end of a log, in which an error is looked for
_ERROR = re.compile(r"^(?:python -m [\w.]+: )?error: ", re.MULTILINE)
_WAIT = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_SH)"


class Job:
    """What runs for one point: its training, then its evaluations, one process after the other.

    waits: whether the process only waits for a training that is not of this sweep.
    """

    def __init__(self, point: Point, log: pathlib.Path, slot: Slot, variables: Mapping[str, str]):
        self.point, self.slot, self.log = point, slot, log
        self.pruned = self.waits = False
        self._variables = {**os.environ, **variables, **slot.variables}

    def start(self, command: Sequence[str]) -> None:
        """Starts a process, in a session of its own: a terminal's Ctrl-C comes to it by us."""
        self.waits = _WAIT in command
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            file.write(f"== {states.now()} {shlex.join(command)}\n".encode())
            file.flush()
            self._began = file.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._variables,
                start_new_session=True,
            )
        if self.slot.cores:
            with contextlib.suppress(OSError):  # it may have ended
                os.sched_setaffinity(self._process.pid, self.slot.cores)

    def poll(self) -> int | None:
        """The exit status of the process, if it has ended."""
        return self._process.poll()

    def wait(self) -> None:
        """Returns when it has ended."""
        self._process.wait()

    def terminate(self) -> None:
        """Asks it, and all that it has started, to save and end."""
        self._tell(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it and all that it has started."""
        self._tell(signal.SIGKILL)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(OSError):  # they may have ended
            os.killpg(self._process.pid, number)

    def why(self) -> str:
        """In a line, why it failed."""
        if (status := self.poll()) < 0:
            return f"ended by {signal.Signals(-status).name}"
        with self.log.open("rb") as file:
            file.seek(self._began)
            text = file.read().decode(errors="replace").strip()
        last = text[-_TOLD:]
        told = [*_ERROR.finditer(last)]
        why = last[told[-1].end() :] if told else last.rpartition("\n")[2]
        return " ".join(why.split()) or f"status {status}"


def waiting(run: paths.Path) -> list[str]:
    """The command that ends when nothing trains in a run any more."""
    return [sys.executable, "-c", _WAIT, str(run / owner.FILE)]
