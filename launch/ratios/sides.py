"""The sides of a measurement, and the worker process of each."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ratios.cases import TORCH

LAUNCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = LAUNCH.parent
HERE = "this tree"
_LAST = 12  # lines of a worker's own messages that are shown when it ends unasked


@dataclasses.dataclass(frozen=True)
class Side:
    """name: in tables. tree: the folder with t2i_jax in it; None: a stand-in under torch.

    commit: that the tree was checked out from, in full, where git knows.
    """

    name: str
    tree: pathlib.Path | None
    python: str = sys.executable
    commit: str = ""

    def is_named(self, name: str) -> bool:
        """Whether `name`, a commit's beginning or ``"torch"``, means this side."""
        return self.name == name or (bool(self.commit) and self.commit.startswith(name))


@contextlib.contextmanager
def opened(given: str, torch_python: str) -> Iterator[Side]:
    """What ``--against`` names: ``torch``, the folder of a tree, or a commit, which is checked out
    into a temporary folder for as long as this is open.

    Raises ValueError for what is none of them.
    """
    folder = pathlib.Path(given)
    if given == TORCH:
        yield Side(TORCH, None, torch_python)
    elif folder.is_dir():
        if not (folder / "t2i_jax").is_dir():
            raise ValueError(f"--against={given}: no t2i_jax in that folder")
        yield Side(given, folder.resolve(), commit=_git(folder, "rev-parse", "HEAD"))
    else:
        commit = _git(ROOT, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}")
        if not commit:
            raise ValueError(f"--against={given}: neither 'torch', a folder nor a commit of {ROOT}")
        with tempfile.TemporaryDirectory() as place:
            tree = pathlib.Path(place, "tree")
            _git(ROOT, "worktree", "add", "--detach", "--quiet", str(tree), commit)
            try:
                yield Side(given, tree, commit=commit)
            finally:
                _git(ROOT, "worktree", "remove", "--force", str(tree))


def _git(folder: pathlib.Path, *arguments: str) -> str:
    """What git prints; "" where it fails or there is none."""
    with contextlib.suppress(FileNotFoundError):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


class Worker:
    """The process of a side. Ends with the block; ValueError where it tells an error, or ends."""

    def __init__(self, side: Side, cores: list[int]):
        self.side, self._cores = side, cores
        self._messages = tempfile.TemporaryFile("w+")
        threads = str(len(cores))
        self._process = subprocess.Popen(
            [side.python, "-m", "ratios.worker"],
            cwd=side.tree or LAUNCH,  # which Python looks into first
            env={
                "JAX_PLATFORMS": "cpu",
                **os.environ,
                "PYTHONPATH": str(LAUNCH),
                "JAX_ENABLE_COMPILATION_CACHE": "false",  # compiling is measured
                "OMP_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def build(self, **job: Any) -> dict[str, Any]:
        """What building the step took and gave."""
        kind = "jax" if self.side.tree else "torch"
        return self._ask(json.dumps({"kind": kind, "cores": self._cores, **job}))

    def step(self) -> dict[str, float]:
        """CPU-seconds and seconds of one step."""
        return self._ask("step")

    def forget(self) -> None:
        """Lets the mark of its memory start anew."""
        self._ask("forget")

    def end(self) -> dict[str, Any]:
        """Its peak memory. ValueError where a loss of the last step is NaN or infinite."""
        found = self._ask("end")
        if found["bad"]:
            raise ValueError(f"{self.side.name}: {', '.join(found['bad'])} is NaN or infinite")
        return found

    def _ask(self, line: str) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        found = json.loads(answer) if answer else {"error": self._last_words()}
        if "error" in found:
            raise ValueError(f"{self.side.name}: {found['error']}")
        return found

    def _last_words(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().splitlines()[-_LAST:]
        how = f"ended with status {status}" if status >= 0 else f"was killed by signal {-status}"
        if status == -signal.SIGKILL:
            how += ", which the system sends where memory runs out"
        return "\n  ".join([f"its process {how}", *lines])
