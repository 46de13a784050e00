"""Trains every system on birds of no species for the same CPU time, and compares what they draw.

    python launch/compare_systems.py --data_dir=data --char=runs/char_cnn_rnn --damsm=runs/damsm \\
        --classifier=runs/toy_attributes --out=runs/compared

The set is toy_birds_mixed, in which no part of a bird tells of another. Every training has one CPU
core to itself and is stopped when its steps have used --cpu_seconds of it; the preparations before
its first logged line (compiling, encoding captions) do not count. As many run at once as there are
cores. StackGAN-v1 spends half of the time on each stage. Then `t2i_jax.evaluate
--protocol=toy_attributes` reads the samples of every run. Writes table.md, and grid.png with
samples of the same captions from every system. The same command goes on where it was stopped; a
training that was not finished begins anew. `launch/which_gan.py` makes a page of what is there
then.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
from PIL import Image

from t2i_jax import paths, pictures
from t2i_jax.arguments import MANY, real, whole

# The configs that are trained one after the other, and the text encoder that they read.
SYSTEMS = {
    "GAN-INT-CLS": (("gan_int_cls",), "char"),
    "StackGAN-v1": (("stack_gan_v1", "stack_gan_v1_stage2"), "char"),
    "StackGAN-v2": (("stack_gan_v2",), "char"),
    "AttnGAN": (("attn_gan",), "damsm"),
    "DM-GAN": (("dm_gan",), "damsm"),
    "DR-GAN": (("dr_gan",), "damsm"),
    "DF-GAN": (("df_gan",), "damsm"),
    "RAT-GAN": (("rat_gan",), "damsm"),
    "XMC-GAN": (("xmc_gan",), "damsm"),
}
# The frozen network that is DAMSM's image encoder.
IMAGE_ENCODERS = {
    **dict.fromkeys(("AttnGAN", "DM-GAN", "DR-GAN"), "damsm"),
    "XMC-GAN": "image_network",
}
COLOURS = ("body", "wing", "breast", "crown", "beak")
CAPTIONS = pathlib.Path(__file__).with_name("quickstart_captions.txt")
POLL = 0.5  # seconds between two looks at a training


@dataclasses.dataclass(frozen=True)
class Job:
    """One system from one seed."""

    system: str
    seed: int
    folder: pathlib.Path

    @property
    def run(self) -> pathlib.Path:
        """The run that is evaluated."""
        return self.folder / SYSTEMS[self.system][0][-1]

    @property
    def pictures(self) -> pathlib.Path:
        """Where its samples lie."""
        return self.folder / "samples"

    @property
    def cost(self) -> pathlib.Path:
        """What the benchmark of its step wrote."""
        return self.folder / "cost.json"

    @property
    def result(self) -> pathlib.Path:
        """What the evaluation wrote."""
        return self.folder / "toy_attributes.json"


def main() -> None:
    """Runs what is missing, then writes the table and the grid."""
    args = parse()
    jobs = [
        Job(system, seed, args.out / f"{system}_{seed}")
        for seed in args.seeds
        for system in args.systems
    ]
    cores: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def on_a_core(job: Job) -> None:
        core = cores.get()
        try:
            run(job, core, args)
        finally:
            cores.put(core)

    with concurrent.futures.ThreadPoolExecutor(cores.qsize()) as pool:
        for done in [pool.submit(on_a_core, job) for job in jobs]:
            done.result()
    table = markdown(jobs)
    (args.out / "table.md").write_text(table + "\n", encoding="utf-8")
    print(table)
    grid([job for job in jobs if job.seed == args.seeds[0]], args.out / "grid.png")


def parse() -> argparse.Namespace:
    """Arguments; exits for an unknown system."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--char", required=True, help="a run of configs/char_cnn_rnn.py:toy_birds")
    parser.add_argument("--damsm", required=True, help="a run of configs/damsm.py:toy_birds")
    parser.add_argument("--classifier", required=True, help="a run of configs/toy_attributes.py")
    parser.add_argument("--out", required=True)
    parser.add_argument("--cpu_seconds", type=real("cpu_seconds", 1e7), default=1200.0)
    parser.add_argument(
        "--captions",
        type=whole("captions", 2, MANY),
        default=300,
        help="held-out captions of a run",
    )
    parser.add_argument("--seeds", type=lambda s: [int(x) for x in s.split(",")], default=[0])
    parser.add_argument("--systems", type=lambda s: s.split(","), default=list(SYSTEMS))
    args = parser.parse_args()
    try:
        args.out = paths.local(args.out, "the files of a comparison")
    except ValueError as error:
        parser.error(f"--out: {error}")
    if unknown := sorted(set(args.systems) - set(SYSTEMS)):
        parser.error(f"--systems: no {', '.join(unknown)}; known: {', '.join(SYSTEMS)}")
    return args


def run(job: Job, core: int, args: argparse.Namespace) -> None:
    """Trains, evaluates and measures the step, as far as that was not done."""
    job.folder.mkdir(parents=True, exist_ok=True)
    configs = SYSTEMS[job.system][0]
    if not job.result.exists():
        for before, config in zip((None, *configs), configs, strict=False):
            marker = job.folder / f"{config}.json"
            if marker.exists():
                continue
            seconds = args.cpu_seconds / len(configs)
            done = train(
                [
                    *fields(job, config, before, args),
                    f"--workdir={job.folder / config}",
                    "--train.duration=1M steps",
                    "--train.log_every=10 steps",
                    "--train.sample_every=0 steps",
                    "--train.checkpoint_every=1M steps",
                ],
                job.folder / config,
                seconds,
                core,
            )
            marker.write_text(json.dumps({"steps": done, "cpu_seconds": seconds}))
    commands = {
        job.result: [
            "t2i_jax.evaluate",
            "--protocol=toy_attributes",
            f"--workdir={job.run}",
            f"--classifier={args.classifier}",
            f"--num={args.captions}",
            f"--out={job.folder}",
        ],
        job.pictures: [
            "t2i_jax.sample",
            f"--workdir={job.run}",
            f"--captions_file={CAPTIONS}",
            "--num=1",
            "--seed=0",
            f"--out={job.pictures}",
        ],
        job.cost: [
            "t2i_jax.benchmark",
            *fields(job, configs[-1], configs[-2] if len(configs) > 1 else None, args),
            "--steps=10",
            "--seconds=0",
            f"--out={job.cost}",
        ],
    }
    for made, command in commands.items():
        log = job.folder / f"{command[0]}.txt"
        if not made.exists() and python(command, log, core).wait():
            raise SystemExit(f"{' '.join(command)} failed, see {log}")
    print(f"{job.system}, seed {job.seed}: done", flush=True)


def fields(job: Job, config: str, before: str | None, args: argparse.Namespace) -> list[str]:
    """The config of one training and its overrides; `before`: the config whose run it goes on
    from.
    """
    options = [
        f"--config=configs/{config}.py:toy_birds",
        f"--data.data_dir={args.data_dir}",
        "--data.name=toy_birds_mixed",
        "--data.sampling=epoch",
        f"--encoder.source={getattr(args, SYSTEMS[job.system][1])}",
        f"--seed={job.seed}",
    ]
    if job.system in IMAGE_ENCODERS:
        options.append(f"--frozen.{IMAGE_ENCODERS[job.system]}={args.damsm}")
    if before:
        options.append(f"--frozen.stage1={job.folder / before}")
    return options


def python(command: list[str], log: pathlib.Path, core: int) -> psutil.Popen:
    """Starts ``python -m command`` on one core; its output goes to `log`."""
    with log.open("w") as file:
        return psutil.Popen(
            [sys.executable, "-m", *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )


def train(options: list[str], workdir: pathlib.Path, seconds: float, core: int) -> int:
    """Trains until steps have used so many CPU-seconds; how many steps these were."""
    # The steps of a training that was interrupted would count as done, but not their time.
    shutil.rmtree(workdir, ignore_errors=True)
    log = workdir.with_suffix(".txt")
    process = python(["t2i_jax.train", *options], log, core)
    began = None
    while process.poll() is None:
        time.sleep(POLL)
        used = cpu_seconds(process)
        if began is None:
            if steps(workdir):
                began = used
        elif used - began >= seconds:
            process.send_signal(signal.SIGTERM)
            break
    if process.wait() != 143:
        raise SystemExit(f"training {workdir} ended before its time, see {log}")
    return steps(workdir)


def cpu_seconds(process: psutil.Popen) -> float:
    """Of all its threads; 0 for one that has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def steps(workdir: pathlib.Path) -> int:
    """How many steps a training has logged."""
    metrics = workdir / "metrics.jsonl"
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def markdown(jobs: list[Job]) -> str:
    """A row a system: means over its seeds, and their standard deviation where there are more."""
    head = (*COLOURS, "every colour", "diversity", "nearest", "steps")
    rows = [f"| system | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for system in dict.fromkeys(job.system for job in jobs):
        columns = zip(*(numbers(job) for job in jobs if job.system == system), strict=True)
        cells = [cell(name, values) for name, values in zip(head, columns, strict=True)]
        rows.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(rows)


def numbers(job: Job) -> list[float]:
    """The columns of the table for one run."""
    found = json.loads(job.result.read_text())
    shares = [found["attributes"].get(name, {}).get("share", float("nan")) for name in COLOURS]
    varied = found["diversity"]
    done = json.loads((job.folder / f"{job.run.name}.json").read_text())["steps"]
    every = found["every_colour"]["share"]
    return [*shares, every, varied["mean_ratio"], varied["nearest_ratio"], done]


def cell(name: str, values: tuple[float, ...]) -> str:
    """Shares in per cent, distances with two digits."""
    mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else None
    if np.isnan(mean):  # an attribute that the classifier does not read surely
        return "-"
    if name == "steps":
        return f"{mean:,.0f}"
    scale, digits = (1, 2) if name in ("diversity", "nearest") else (100, 0)
    text = f"{scale * mean:.{digits}f}"
    return text if spread is None else f"{text} ± {scale * spread:.{digits}f}"


def grid(jobs: list[Job], path: pathlib.Path) -> None:
    """A row a system, a column a caption."""
    captions = CAPTIONS.read_text(encoding="utf-8").splitlines()
    rows = [
        pictures.Row(job.system, [np.asarray(Image.open(file)) for file in files])
        for job in jobs
        if (files := sorted(job.pictures.glob("*_00.png")))
    ]
    pictures.save(pictures.table(rows, captions), path)


if __name__ == "__main__":
    main()
