"""Sweeps whose trainings are `stand_in`: a process of milliseconds."""

import json
import pathlib
import shlex
import signal
import sys

import pytest

from t2i_jax.data import catalog
from t2i_jax.sweeps import command_line
from t2i_jax.training import fields

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = f"{ROOT / 'configs' / 'gan_int_cls.py'}:debug"
STAND_IN = pathlib.Path(__file__).with_name("stand_in.py")
GRID = """
def sweep():
    for name, weight in (("none", 0.0), ("half", 0.5), ("full", 1.0)):
        yield {"name": name, "loss.g.interp": weight}
"""


@pytest.fixture(autouse=True)
def interruptible():
    """A shell starts what it puts into the background with SIGINT ignored, and children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A few toy birds, prepared."""
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=32, size=48)
    return folder


class Place:
    """A folder with a sweep file, in which the command is called."""

    config = CONFIG

    def __init__(self, folder: pathlib.Path, data_dir: pathlib.Path, capsys):
        self.folder, self.runs, self._capsys = folder, folder / "runs", capsys
        self.file = folder / "sweep.py"
        self.options = [f"--data.data_dir={data_dir}", "--encoder.source=random"]
        self.options += ["--train.duration=4 steps", "--data.batch=4"]
        self.write(GRID)
        self.acts()

    def write(self, text: str) -> None:
        """The sweep file."""
        self.file.write_text(text)

    def acts(self, **acts) -> None:
        """What happens in runs, by name."""
        config = fields.resolve(CONFIG, self.options).config.to_dict()
        told = json.dumps({"config": config, "acts": acts})
        (self.folder / "stand_in.json").write_text(told)

    def arguments(self, *more: str) -> list[str]:
        """Those of the command."""
        train = shlex.join([sys.executable, str(STAND_IN)])
        given = [f"--config={CONFIG}", f"--sweep={self.file}", f"--workdir={self.runs}"]
        return [*given, f"--train_command={train}", *self.options, *more]

    def __call__(self, *more: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of the command."""
        with pytest.raises(SystemExit) as ended:
            command_line.main(self.arguments(*more))
        return ended.value.code, *self._capsys.readouterr()

    def starts(self) -> list[dict]:
        """What the trainings were started with, in their order."""
        path = self.folder / "starts.jsonl"
        return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []

    def started(self) -> list[str]:
        """The runs that were started, in their order."""
        return [start["run"] for start in self.starts()]

    def points(self) -> dict[str, dict]:
        """The points of sweep.json by folder."""
        told = json.loads((self.runs / "sweep.json").read_text())
        return {row["workdir"]: row for row in told["points"]}

    def statuses(self) -> dict[str, str]:
        """And their statuses."""
        return {folder: row["status"] for folder, row in self.points().items()}


@pytest.fixture
def place(tmp_path, data_dir, capsys, monkeypatch):
    monkeypatch.setenv("STAND_IN", str(tmp_path / "stand_in.json"))
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    monkeypatch.delenv("T2I_JAX_CAPTION_CACHE", raising=False)
    return Place(tmp_path, data_dir, capsys)
