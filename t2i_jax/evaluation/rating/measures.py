"""What ratings say, in numbers.

For each question, and each run:

    first      share of answers that put the run alone at the first place (XMC-GAN, arXiv
               2101.04702: "people prefer"), with Wilson's interval
    mean_rank  mean of its ranks, 1 for the best, equal ones at the mean of their places (StackGAN,
               arXiv 1612.03242, section 4.1: the average human rank)
    pairs      for each two runs the share of answers that put one before the other, among those
               that do not hold them equal

Wilson's interval takes answers for independent of each other. Those of one rater, or about one
caption, are not: ``resampled`` and the interval of mean_rank draw raters and captions anew
(`t2i_jax.evaluation.intervals.crossed`). Items that are shown again count only for the agreement of
raters with themselves.
"""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from t2i_jax.evaluation import intervals
from t2i_jax.evaluation.rating.answers import Answer, Key


def measure(answers: Sequence[Answer], key: Key) -> dict:
    """The numbers of `answers`, JSON types; None where nothing was answered."""
    items = key["items"]
    firsts = [answer for answer in answers if items[answer.item]["repeats"] is None]
    raters = sorted({answer.rater for answer in answers})
    asked = len(items) * len(key["questions"])
    by_rater = {}
    for rater in raters:
        own = [answer for answer in answers if answer.rater == rater]
        by_rater[rater] = {
            "answers": len(own),
            "of": asked,
            "median_seconds": statistics.median(answer.seconds for answer in own),
            "agreement": agreement(own, key),
            "first": {
                name: _first(_of(firsts, name, rater), key["runs"]) for name in key["questions"]
            },
        }
    return {
        "runs": list(key["runs"]),
        "captions": sum(item["repeats"] is None for item in items),
        "raters": len(raters),
        "unfinished": sum(row["answers"] < asked for row in by_rater.values()),
        "questions": {
            name: {
                **question(_of(firsts, name), key),
                "agreement": agreement(_of(answers, name), key),
            }
            for name in key["questions"]
        },
        "by_rater": by_rater,
    }


def question(answers: Sequence[Answer], key: Key) -> dict:
    """The numbers of one question."""
    runs, ranks = key["runs"], _table(answers, key)
    best = np.where(np.isnan(ranks), np.nan, ranks == 1)
    shares, means = intervals.crossed(best), intervals.crossed(ranks)
    first = _first(answers, runs)
    for run, (_, *interval) in zip(runs, shares, strict=True):
        first[run]["resampled"] = interval if answers else None
    undecided = sum(1 not in answer.ranks for answer in answers)
    return {
        "answers": len(answers),
        "first": first,
        "undecided": intervals.share(undecided, len(answers)),
        "mean_rank": {
            run: {"mean": mean, "interval": interval} if answers else None
            for run, (mean, *interval) in zip(runs, means, strict=True)
        },
        "pairs": [
            _pair(answers, runs, i, j) for i, j in itertools.combinations(range(len(runs)), 2)
        ],
    }


def agreement(answers: Sequence[Answer], key: Key) -> dict:
    """The share of repeated items that a rater put into the same order as the first time."""
    given = {(answer.rater, answer.item, answer.question): answer.ranks for answer in answers}
    same = [
        ranks == given[rater, before, question]
        for (rater, item, question), ranks in given.items()
        if (before := key["items"][item]["repeats"]) is not None
        and (rater, before, question) in given
    ]
    return intervals.share(sum(same), len(same))


def _of(answers: Sequence[Answer], question: str, rater: str | None = None) -> list[Answer]:
    return [a for a in answers if a.question == question and rater in (None, a.rater)]


def _first(answers: Sequence[Answer], runs: Sequence[str]) -> dict[str, dict]:
    return {
        run: intervals.share(sum(answer.ranks[i] == 1 for answer in answers), len(answers))
        for i, run in enumerate(runs)
    }


def _pair(answers: Sequence[Answer], runs: Sequence[str], i: int, j: int) -> dict:
    before = sum(answer.ranks[i] < answer.ranks[j] for answer in answers)
    after = sum(answer.ranks[i] > answer.ranks[j] for answer in answers)
    share = intervals.share(before, before + after)
    return {"run": runs[i], "before": runs[j], **share, "equal": len(answers) - before - after}


def _table(answers: Sequence[Answer], key: Key) -> np.ndarray:
    """[raters, captions, runs] of ranks, NaN where there is no answer."""
    places: dict[str, dict] = defaultdict(dict)
    for answer in answers:
        places["rater"].setdefault(answer.rater, len(places["rater"]))
        places["item"].setdefault(answer.item, len(places["item"]))
    table = np.full((len(places["rater"]), len(places["item"]), len(key["runs"])), np.nan)
    for answer in answers:
        table[places["rater"][answer.rater], places["item"][answer.item]] = answer.ranks
    return table
