"""A short training of the quick start's GAN on birds that are drawn for it, with its pictures."""

import dataclasses
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gpu.turns import ROOT, reason

_CAPTIONS = ROOT / "launch" / "quickstart_captions.txt"
_STOPPED = 128 + signal.SIGTERM  # the exit status of a training that saved because it was asked to
_TO_SAVE = 30.0  # seconds that a training has to save after that


@dataclasses.dataclass(frozen=True)
class Training:
    """images: that are drawn, of so many pixels a side. overrides: of both configs, by the run's
    name.
    """

    images: int = 5000
    size: int = 64
    overrides: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=lambda: {"damsm": (), "gan": ("--train.duration=1M steps",)}
    )


def train(
    wanted: Training, seconds: float, work: pathlib.Path, out: pathlib.Path
) -> dict[str, Any]:
    """Steps, losses and seconds; grid.png and curves.png in `out`. ``error`` where it failed.

    seconds: of DAMSM's and the GAN's training together; DAMSM has a third at most.
    """
    data, damsm, gan = work / "data", work / "damsm", work / "gan"
    begin = time.monotonic()
    drawing = [
        "--dataset=toy_birds_mixed",
        f"--num_images={wanted.images}",
        f"--size={wanted.size}",
    ]
    if error := _run("prepare", [*drawing, f"--data_dir={data}"], work):
        return {"error": f"drawing birds: {error}"}
    found: dict[str, Any] = {"drawing_seconds": time.monotonic() - begin}
    runs = {
        "damsm": ("damsm:toy_birds", damsm, seconds / 3, ()),
        "gan": (
            "gan_int_cls:toy_birds_damsm",
            gan,
            seconds,
            (f"--encoder.source={damsm}", f"--frozen.damsm={damsm}"),
        ),
    }
    begin = time.monotonic()
    for name, (config, run, until, sources) in runs.items():
        options = [f"--config={config}", f"--workdir={run}", f"--data.data_dir={data}", *sources]
        left = until - (time.monotonic() - begin)
        error = _run("train", [*options, *wanted.overrides[name]], work, left)
        log = run / "metrics.jsonl"
        rows = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        if not error and not rows:
            error = f"the {left:.0f} s that it had were over before its first step was logged"
        if error:
            return {**found, "error": f"training {name}: {error}"}
        found[name] = json.loads(rows[-1])
    found["seconds"] = time.monotonic() - begin
    samples = work / "samples"
    drawn = [f"--workdir={gan}", f"--captions_file={_CAPTIONS}", "--num=4", "--seed=0"]
    if error := _run("sample", [*drawn, f"--out={samples}"], work):
        return {**found, "error": f"sampling: {error}"}
    for picture in (samples / "grid.png", gan / "curves.png"):
        if picture.exists():
            shutil.copy(picture, out / picture.name)
    return found


def _run(
    command: str, arguments: list[str], work: pathlib.Path, seconds: float | None = None
) -> str:
    """Runs a command of the library; after `seconds` it is asked to save and end. "" or what went
    wrong.
    """
    log = work / f"{command}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"t2i_jax.{command}", *arguments],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(_TO_SAVE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return f"did not save within {_TO_SAVE:.0f} s"
    return "" if status in (0, _STOPPED) else reason(log, status)
