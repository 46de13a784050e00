"""Writes the page that compares all systems, from the runs of `compare_systems.py`.

    python launch/which_gan.py --compared=runs/compared --out=docs/which_gan.md

Reads results, costs and samples of every system in that folder; the page's picture is written
beside the page.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import sys

import compare_systems
import jax

from t2i_jax.profiling import step_time
from t2i_jax.training import fields
from t2i_jax.training.step import init_state

ABOUT = {
    "GAN-INT-CLS": "D also sees real images with captions of others (CLS); G also draws from "
    "sentences between two captions (INT). Reed et al., 2016",
    "StackGAN-v1": "two stages trained one after the other: a small image, then a larger one that "
    "corrects it; captions as a Gaussian that is drawn from. Zhang et al., 2017",
    "StackGAN-v2": "generators of growing resolution trained together, each with a D that judges "
    "images with and without the caption. Zhang et al., 2019",
    "AttnGAN": "every region of the image attends to the words; DAMSM, trained before, tells G "
    "whether image and words fit. Xu et al., 2018",
    "DM-GAN": "a memory of words that the first image chooses from, with gates. Zhu et al., 2019",
    "DR-GAN": "AttnGAN with losses that compare the distributions of real and drawn features, and "
    "a D that normalises them. Tan et al., 2023",
    "DF-GAN": "one stage; the caption scales and shifts features in every block; a gradient "
    "penalty where image and caption fit. Tao et al., 2022",
    "RAT-GAN": "DF-GAN's frame with an LSTM that carries the caption from block to block, and "
    "attention over space in D. Ye et al., 2024",
    "XMC-GAN": "one stage with attention to words; contrastive losses between image and sentence, "
    "regions and words, drawn and real image. Zhang et al., 2021",
}
_VARIED = 0.7  # of the drawings' own distances: a system below shows near-copies of one image
_CHANCE = 1.96 * math.sqrt(2 * 0.5 * 0.5)  # 95 % of the differences of two shares near a half
_ENCODERS = {"char": "char-CNN-RNN", "damsm": "DAMSM"}
_COPIES = (
    ", but its samples of one caption are near-copies (their distances are {0.diversity:.2f} of "
    "those between drawings)"
)
_PAGE = """\
# Which GAN should I take?

`launch/which_gan.py` wrote this page from the runs of `launch/compare_systems.py`:

    python launch/which_gan.py --compared=runs/compared --out=docs/which_gan.md

Every system was trained {times} on the same 4,000 drawings of birds (`toy_birds_mixed`, 64 px),
with small networks, until its steps had used {seconds:,.0f} seconds of one CPU core; StackGAN-v1
spends half of them on each stage. Then each drew {records} new captions, and a classifier
[read](evaluation.md) the birds' colours off the images. Shares that differ by less than
{chance:.0f} points may differ by chance, and other seeds of the training change more.

- **{faithful.system} follows captions best**: in {faithful.every:.0%} of its images every stated
  colour is right{copies}.
- **Of those that vary what they draw, {varied.system} follows them best**: {varied.every:.0%};
  distances between samples of one caption are {varied.diversity:.2f} of those between drawings.
- **{quick.system} is the quickest** ({quick.cpu_ms:.1f} CPU-ms an image in training),
  **{light.system} takes the least memory** ({light.megabytes:.1f} MB an image of a batch),
  **{lean.system} has the fewest parameters** at the paper's size.
- On photos of your own, systems that read sentences alone (GAN-INT-CLS, the StackGANs, DF-GAN,
  RAT-GAN) need no text encoder of yours: [MiniLM](bert.md) comes trained. AttnGAN, DM-GAN, DR-GAN
  and XMC-GAN need a DAMSM, trained on these photos before, and Stage II of StackGAN-v1 its Stage I.
  [Your own photos](own_photos.md) has the commands.
- To begin with, take the [quick start's GAN](gan_int_cls.md#the-quick-starts-gan), which is no
  paper's and not in the tables: GAN-INT-CLS's networks, told by a DAMSM whether image and caption
  fit. By the same measures it follows 81% of captions and varies (1.07), after eleven minutes in
  all.

What this does not show is days on accelerators at 256 px, where the later papers report the
better FID: small networks and minutes favour what learns quickly.

![The same captions by every system]({picture})

*A row a system, one image a caption, seed 0; the captions are of the library's making.*

## What they draw

Share of captions whose colour is shown, in per cent (chance 10, beaks 25), and distances between
samples of one caption relative to those between drawings, mean and to the nearest. Steps are of
the last training: of Stage II for StackGAN-v1.

{quality}

## What they cost

CPU time and memory of the step's program for an image of a batch; millions of parameters, of the
networks compared here and of the paper's on CUB (256 px; GAN-INT-CLS's 64 px); the text encoder
that was trained before. StackGAN-v1's row is of Stage II, without Stage I's parameters.

{costs}

## What they are about

{ideas}
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One system: means over its seeds.

    every: share of captions of which every colour is drawn.
    diversity: distances between samples of one caption relative to those of drawings.
    cpu_ms, megabytes: of one image of a batch, in training.
    small, full: parameters of G and D, of the compared networks and of the paper's on birds.
    """

    system: str
    every: float
    diversity: float
    cpu_ms: float
    megabytes: float
    small: tuple[int, int]
    full: tuple[int, int]


def parse(argv=None) -> argparse.Namespace:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compared", required=True, type=pathlib.Path, help="the folder of runs")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="the page, *.md")
    args = parser.parse_args(argv)
    if args.out.suffix != ".md":
        parser.error(f"--out={args.out}: the page is Markdown, in a file that ends in .md")
    return args


def main() -> None:
    """Writes the page and its picture."""
    args = parse()
    jobs = compared(args.compared)
    if not jobs:
        print(f"error: no results of launch/compare_systems.py in {args.compared}", file=sys.stderr)
        sys.exit(2)
    rows = [row(system, found) for system, found in jobs.items()]
    records = json.loads(next(iter(jobs.values()))[0].result.read_text())["n"]
    seconds = spent(next(iter(jobs.values()))[0])
    picture = args.out.with_name("compared.png")
    compare_systems.grid([found[0] for found in jobs.values()], picture)
    quality = compare_systems.markdown([job for found in jobs.values() for job in found])
    page = text(rows, quality, picture.name, records, seconds, len(next(iter(jobs.values()))))
    args.out.write_text(page, encoding="utf-8")
    print(f"wrote {args.out}\nwrote {picture}")


def compared(folder: pathlib.Path) -> dict[str, list[compare_systems.Job]]:
    """The finished jobs of every system, in the order of the systems."""
    found = {}
    for system in compare_systems.SYSTEMS:
        seeds = sorted(int(p.name.rpartition("_")[2]) for p in folder.glob(f"{system}_*"))
        jobs = [compare_systems.Job(system, s, folder / f"{system}_{s}") for s in seeds]
        jobs = [job for job in jobs if job.result.exists() and job.cost.exists()]
        if jobs:
            found[system] = jobs
    return found


def spent(job: compare_systems.Job) -> float:
    """CPU-seconds of all steps of a job."""
    names = compare_systems.SYSTEMS[job.system][0]
    markers = [json.loads((job.folder / f"{name}.json").read_text()) for name in names]
    return sum(marker["cpu_seconds"] for marker in markers)


def row(system: str, jobs: list[compare_systems.Job]) -> Row:
    """The numbers of one system."""
    columns = [
        sum(values) / len(jobs) for values in zip(*map(compare_systems.numbers, jobs), strict=True)
    ]
    *_, every, diversity, _, _ = columns
    (cost,) = json.loads(jobs[0].cost.read_text())
    last = json.loads((jobs[0].folder / f"{jobs[0].run.name}.json").read_text())
    small = cost["parameters"]
    return Row(
        system=system,
        every=every,
        diversity=diversity,
        cpu_ms=1e3 * last["cpu_seconds"] / last["steps"] / cost["images"],
        megabytes=cost["program_bytes"] / cost["images"] / 1e6,
        small=(small["g"], small["d"]),
        full=parameters(jobs[0].run.name),
    )


def parameters(config: str) -> tuple[int, int]:
    """Of G and D as the paper has them on birds."""
    found = fields.resolve(f"configs/{config}.py:cub", {}).config
    work = step_time.make_workload(found, jax.eval_shape)
    state = jax.eval_shape(
        lambda f: init_state(work.system.recipe, work.options, work.batch, f),
        work.system.variables,
    )
    counts = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in state.params.items()}
    return counts["g"], counts["d"]


def text(
    rows: list[Row], quality: str, picture: str, records: int, seconds: float, seeds: int
) -> str:
    """The whole page; `quality` is the table of what was drawn."""
    faithful = max(rows, key=lambda r: r.every)
    varied = max((r for r in rows if r.diversity >= _VARIED), key=lambda r: r.every)
    return _PAGE.format(
        seconds=seconds,
        times="once" if seeds == 1 else f"from {seeds} seeds",
        records=records,
        chance=100 * _CHANCE / math.sqrt(records * seeds),
        picture=picture,
        faithful=faithful,
        copies="" if faithful.diversity >= _VARIED else _COPIES.format(faithful),
        varied=varied,
        quick=min(rows, key=lambda r: r.cpu_ms),
        light=min(rows, key=lambda r: r.megabytes),
        lean=min(rows, key=lambda r: sum(r.full)),
        quality=quality,
        costs=_table(
            ("system", "CPU-ms", "MB", "G + D here", "G + D, paper's", "text from"),
            [
                (
                    r.system,
                    f"{r.cpu_ms:.1f}",
                    f"{r.megabytes:.1f}",
                    _millions(r.small),
                    _millions(r.full),
                    _ENCODERS[compare_systems.SYSTEMS[r.system][1]],
                )
                for r in rows
            ],
        ),
        ideas=_table(("system", "idea"), [(r.system, ABOUT[r.system]) for r in rows]),
    )


def _millions(counts: tuple[int, int]) -> str:
    return " + ".join(f"{n / 1e6:.2f}" if n < 1e7 else f"{n / 1e6:.0f}" for n in counts)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
