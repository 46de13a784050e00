"""A process that runs command lines of the library one after the other, so that the imports of many
trials are paid once.

It reads lines of JSON, ``[module, arguments]``, and answers each with the exit status that the
command would have had; what is printed goes to its stderr.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback

import train_commands


class Worker:
    """The process, seen from outside. A context manager; one that died is started anew."""

    def __init__(self, variables):
        self._env = {**os.environ, **variables}
        self._printed = tempfile.TemporaryFile("a+", errors="replace")
        self._process: subprocess.Popen | None = None

    def run(self, module: str, *arguments: str) -> tuple[int, str]:
        """(exit status, what was printed) of a command; a negative status where the process died,
        or was ended because it took too long.
        """
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stress_kinds.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                text=True,
                cwd=train_commands.ROOT,
                env=self._env,
            )
        self._printed.seek(0)
        self._printed.truncate()
        timer = threading.Timer(train_commands.PATIENCE, self._process.kill)
        timer.start()
        try:
            print(json.dumps([module, arguments]), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        finally:
            timer.cancel()
        status = int(answer) if answer else -abs(self._process.wait() or 1)
        self._printed.seek(0)
        return status, self._printed.read()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _status(module: str, arguments: list[str]) -> int:
    try:
        return importlib.import_module(module).main(arguments) or 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        status = _status(*json.loads(line))
        sys.stdout.flush()
        print(status, file=answers, flush=True)


if __name__ == "__main__":
    _serve()
