"""Processes that are built side by side and measured alone.

Most of a benchmark is compiling, on cores; the measurement itself takes seconds, on the
accelerator. So several processes build at once, and when one is ready to measure, all the others
stand still until it has ended.
"""

import dataclasses
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "OutOfMemory")


@dataclasses.dataclass(frozen=True)
class Run:
    """One process.

    module: run as ``python -m``. Before it measures it writes a byte to the file descriptor that
      is its first argument, and reads a line from stdin.
    log: the file for what it prints. seconds: it may take, from its start on.
    """

    module: str
    arguments: Sequence[str]
    log: pathlib.Path
    seconds: float
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _Running:
    def __init__(self, run: Run, deadline: float):
        self.run = run
        self.ends = min(deadline, time.monotonic() + run.seconds)
        self.ready, told = os.pipe()
        with run.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", run.module, str(told), *run.arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'launch'}", **run.env},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[told],
            )
        os.close(told)

    def end(self) -> str:
        """Ends the process, if it has not ended; "" where it had done its work, else why not."""
        late = False
        try:
            status = self.process.wait(max(0.0, self.ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
            self.process.kill()
            status = self.process.wait()
        self.process.stdin.close()
        os.close(self.ready)
        if late:
            return "took too long"
        return "" if status == 0 else reason(self.run.log, status)


def reason(log: pathlib.Path, status: int) -> str:
    """Why a process failed, in a line, by what it printed."""
    text = log.read_text(errors="replace")
    if any(word in text for word in _NO_MEMORY):
        return "out of memory"
    if status == -signal.SIGKILL:
        return "killed by the system, which does so where memory runs out"
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended with status {status}"


def in_turns(
    runs: Sequence[Run], lanes: int, deadline: float, done: Callable[[Run, str], None]
) -> None:
    """Runs all, `lanes` at once, until `deadline` on `time.monotonic`; `done` hears of every one
    when it has ended: the run, and "" or why it failed.
    """
    waiting, running = list(runs), {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < lanes and time.monotonic() < deadline:
                    started = _Running(waiting.pop(0), deadline)
                    running[started.ready] = started
                    selector.register(started.ready, selectors.EVENT_READ)
                if not running:
                    break
                until = min(x.ends for x in running.values())
                heard = [key.fd for key, _ in selector.select(max(0.0, until - time.monotonic()))]
                late = [fd for fd, x in running.items() if x.ends <= time.monotonic()]
                for fd in dict.fromkeys([*heard, *late]):
                    selector.unregister(fd)
                    one = running.pop(fd)
                    done(one.run, _measured(one, list(running.values())))
            for run in waiting:
                done(run, "no time was left")
        finally:
            for one in running.values():
                one.process.kill()
                one.end()


def _measured(one: _Running, others: Sequence[_Running]) -> str:
    """Lets a process measure while the others stand still; how it ended."""
    if one.ends <= time.monotonic() or not os.read(one.ready, 1):  # late, or ended before that
        return one.end()
    begin = time.monotonic()
    for other in others:
        other.process.send_signal(signal.SIGSTOP)
    try:
        one.process.stdin.write(b"go\n")
        one.process.stdin.flush()
        return one.end()
    finally:
        for other in others:
            other.process.send_signal(signal.SIGCONT)
            other.ends += time.monotonic() - begin
