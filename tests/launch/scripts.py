"""Scripts of launch/ as modules, and programs that stand for those of a cluster."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Words of a command line that each layer of quoting may spoil.
HARD = [
    "--config=gan_int_cls:debug",
    "--train.duration=5 steps",
    '--a=it\'s "quoted"',
    "--b=$HOME $(HOME) $$ `id` \\ * ~",
    "--c=",
    "--d=two\nlines",
    "--e=grün",
]

# Stands for python: notes how it was called, acts as $ACT says, and ends with $STATUS. The words of
# the training are all that it keeps of a command line.
PYTHON = """#!{python}
import json, os, signal, sys, time
with open(os.environ["NOTES"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if os.environ.get("ACT") == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    open(os.environ["NOTES"] + ".waits", "w").close()
    time.sleep(60)
sys.exit(int(os.environ.get("STATUS", 0)))
"""
TRAIN = ["-m", "t2i_jax.train", "--multihost"]


def load(name: str):
    """A script, imported."""
    spec = importlib.util.spec_from_file_location(f"launch_{name}", ROOT / "launch" / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Programs:
    """A folder of programs, first on the path, and how often and how python was called."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.notes = folder / "bin", folder / "notes.jsonl"
        self.folder.mkdir()
        for name in ("python", "python3"):
            self.add(name, PYTHON.format(python=sys.executable))

    def add(self, name: str, text: str) -> None:
        """A program of that text."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def env(self, **variables: str) -> dict[str, str]:
        """An environment in which they are found."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "NOTES": str(self.notes), **variables}

    def calls(self) -> list[list[str]]:
        """The words with which python was called, each time."""
        if not self.notes.exists():
            return []
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


def run(words, env, **options) -> subprocess.CompletedProcess:
    """What a program said and how it ended."""
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, **options)
