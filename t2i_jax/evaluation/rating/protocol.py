"""Human rating: a page with blind choices between runs on the same captions, and what the answers
of its raters say.

As two papers did it: StackGAN (Zhang et al., arXiv 1612.03242, section 4.1) had ten users, none of
them an author, rank the images of all methods for the same descriptions; XMC-GAN (Zhang et al.,
arXiv 2101.04702) had images, without names and in random order, ranked once by realism and once by
agreement with the text, and reports how often each method was preferred.

Here too: two runs are compared side by side, three or more are ranked. Realism is asked first, with
the caption out of sight, so that a wrong picture that looks real can be called so. "Cannot tell" is
an answer. Some captions come twice, with the sides changed.
"""

import json
import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from t2i_jax import paths, pictures
from t2i_jax.evaluation.attribute_pictures import bars
from t2i_jax.evaluation.rating import answers, page
from t2i_jax.evaluation.rating.assignment import assign, usual_repeats
from t2i_jax.evaluation.rating.measures import measure

PAGE, KEY = "rating.html", "assignments.json"
_MOST = 9  # runs: a key each


def make(
    draws: Mapping[str, np.ndarray],
    captions: Sequence[str] | None,
    seed: int,
    describe: dict,
    repeats: int | None = None,
) -> dict[str, bytes]:
    """Files by name: the page for raters, and the key that says which image is whose, which they
    must not see.

    draws: of each run by its name, uint8 [N, H, W, 3], row i of the same caption and noise; sizes
        may differ, all are shown at one.
    captions: N, or None for generators without text: then realism alone is asked.
    seed: of all orders. describe: what the report says of the images, JSON types.
    repeats: captions that come twice; a tenth by default.

    Raises ValueError for fewer than 2 runs or more than 9, and where numbers do not fit.
    """
    names, images = list(draws), list(draws.values())
    if not 2 <= len(names) <= _MOST:
        raise ValueError(f"a rating compares 2 to {_MOST} runs, not {len(names)}")
    counts = {name: len(drawn) for name, drawn in draws.items()}
    count = len(images[0]) if captions is None else len(captions)
    if not count or set(counts.values()) != {count}:
        raise ValueError(f"a rating needs an image of each run for each caption, not {counts}")
    repeats = usual_repeats(count) if repeats is None else repeats
    items = assign(count, len(names), repeats, seed)
    shown = page.content(items, images, captions)
    key = {
        "page": shown["page"],
        "seed": seed,
        "made_from": describe,
        "runs": names,
        "captions": None if captions is None else list(captions),
        "questions": [name for name, _ in shown["questions"]],
        "items": [
            {
                "caption": item.caption,
                "runs": [names[run] for run in item.runs],
                "repeats": item.repeats,
            }
            for item in items
        ],
    }
    return {PAGE: page.html(shown).encode(), KEY: f"{json.dumps(key, indent=1)}\n".encode()}


def report(
    key_path: str | os.PathLike, csv_paths: Sequence[str | os.PathLike]
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print) of the files that raters sent.

    Raises ValueError as `t2i_jax.evaluation.rating.answers.read`, and for a key that is none.
    """
    key = _key(key_path)
    measured = measure(answers.read(csv_paths, key), key)
    drawn = [
        bars(
            {**found["first"], "cannot tell": found["undecided"]},
            ("share",),
            f"{name}: preferred, {found['answers']:,} answers, with Wilson's 95 % intervals",
        )
        for name, found in measured["questions"].items()
        if found["answers"]
    ]
    result = {"page": key["page"], "made_from": key["made_from"], "seed": key["seed"], **measured}
    return result, {"rating": pictures.beside(drawn)} if drawn else {}, text(measured)


def _key(path: str | os.PathLike) -> dict:
    try:
        key = json.loads(paths.read_bytes(paths.path(path)))
        needed = {"page", "made_from", "seed", "runs", "questions", "items"} - set(key)
    except (ValueError, TypeError):
        needed = {"all"}
    if needed:
        raise ValueError(f"{path}: not the key of a rating page ({KEY})")
    return key


def text(measured: dict) -> str:
    """The result in lines for the terminal."""
    lines = [
        f"{measured['raters']} raters ({measured['unfinished']} unfinished), "
        f"{measured['captions']} captions"
    ]
    for name, found in measured["questions"].items():
        lines.append(
            f"{name}: {found['answers']:,} answers; shown again, answered alike: "
            f"{_share(found['agreement'])}"
        )
        if not found["answers"]:
            continue
        lines.append(
            f"  {'preferred':>9}  {'95 %, Wilson':16} {'resampled':16} {'mean rank':>9}  95 %"
        )
        for run, first in found["first"].items():
            rank = found["mean_rank"][run]
            lines.append(
                f"  {first['share']:9.1%}  {_span(first['interval']):16} "
                f"{_span(first['resampled']):16} {rank['mean']:9.2f}  "
                f"{rank['interval'][0]:.2f} to {rank['interval'][1]:.2f}  {run}"
            )
        undecided = found["undecided"]
        lines.append(f"  {undecided['share']:9.1%}  {_span(undecided['interval']):16} cannot tell")
        lines += [
            f"  {pair['run']} before {pair['before']}: {_share(pair)}, {pair['equal']} equal"
            for pair in found["pairs"]
        ]
    for rater, row in measured["by_rater"].items():
        lines.append(
            f"rater {rater}: {row['answers']} of {row['of']} answers, "
            f"median {row['median_seconds']:.1f} s, alike again: {_share(row['agreement'])}"
        )
    return "\n".join(lines)


def _share(row: Mapping) -> str:
    return f"{row['share']:.1%} of {row['n']} ({_span(row['interval'])})" if row["n"] else "none"


def _span(interval: Sequence[float]) -> str:
    return "{:.1%} to {:.1%}".format(*interval)
