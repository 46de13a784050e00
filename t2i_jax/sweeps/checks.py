"""What can be told of all trainings of a sweep before the first of them begins."""

import functools
import os
from collections.abc import Callable, Iterable

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.data import catalog
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.sweeps.points import Point, Sweep
from t2i_jax.sweeps.state import done_steps
from t2i_jax.training import fields, modules, networks, plan, ranges, run_data, runs, same_run
from t2i_jax.training.checkpoints import check_place

# What a point's run may differ in: how long and how often, what is logged, and where it runs and
# reads. All else is what a sweep compares, the learning rates too, with which a run may go on.
_MAY_DIFFER = (
    *("train", "log", "data.data_dir", "data.threads", "data.workers", "data.prefetch"),
    *("encoder.source", "encoder.cache", "frozen"),
)
# Sections that a training takes over from where its text encoder comes from.
_TAKEN = ("encoder.fields", "tokenizer")


def check(sweep: Sweep, points: Iterable[Point], known: Iterable[str] = ()) -> dict[Point, int]:
    """How many steps every point has, when its config fits itself, its data, the networks that it
    names and the run that is there.

    known: folders of runs of the sweep that are or will be trained, which values may name.
    Raises ValueError with every error, each with the points that it is of.
    """
    points = list(points)
    known = {*known, *(point.folder for point in points)}
    opened = functools.cache(catalog.open_split)
    totals: dict[Point, int] = {}
    errors: dict[str, list[Point]] = {}
    for point in points:
        try:
            totals[point] = _total(sweep, point, known, opened)
        except (ValueError, OSError, ImportError) as error:
            for line in str(error).split("\n" if isinstance(error, _Several) else "\0"):
                errors.setdefault(line, []).append(point)
    if errors:
        raise ValueError("\n".join(_told(line, of, len(points)) for line, of in errors.items()))
    return totals


def check_root(root: paths.Path) -> None:
    """Makes the folder of a sweep. Raises ValueError or OSError where no checkpoint can be kept."""
    check_place(root)
    if not paths.protocol(root):
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK):
            raise PermissionError(f"{root} cannot be written to: name another folder")


def notes(sweep: Sweep, points: Iterable[Point]) -> list[str]:
    """What the user should know: options that points set anew."""
    told: dict[str, list[str]] = {}
    given = configs.parse_overrides(sweep.options)
    for point in points:
        for field in given.keys() & point.overrides.keys():
            told.setdefault(field, []).append(point.name)
    return [
        f"note: --{field}={given[field]} does not hold for {', '.join(dict.fromkeys(names))}, "
        "which set it themselves"
        for field, names in sorted(told.items())
    ]


class _Several(ValueError):
    """One line an error."""


def _total(
    sweep: Sweep, point: Point, known: set[str], opened: Callable[..., PreparedSplit]
) -> int:
    resolved = fields.resolve(point.config, sweep.assignments(point))
    resolved.check()
    config = resolved.config
    try:
        ranges.check(configs.flatten(config))
    except ValueError as error:
        raise _Several(*error.args) from error
    given = {name: None for name in config.frozen if name not in config}
    modules.make_recipe(config, given)
    for need in point.needs:
        if need not in known and not paths.exists(sweep.root / need):
            raise ValueError(f"it needs {sweep.root / need}, which no entry trains")
    run = sweep.run(point)
    if runs.is_run(run):
        _check_same(run, resolved)
    else:
        runs.check_whole(run)
        _check_sources(config, sweep.root)
    source = opened(config.data.name, config.data.data_dir, config.data.split)
    total = plan.total_steps(config, len(source))
    if (done := done_steps(run)) > total:
        raise ValueError(
            f"{run} was trained for {done:,} steps, longer than the {total:,} that are asked for: "
            "remove that run, or name another --workdir"
        )
    return total


def _check_sources(config, root: paths.Path) -> None:
    """Raises FileNotFoundError where a network is nowhere; runs of this sweep may yet come."""
    named = {f"frozen.{name}": source for name, source in config.frozen.items()}
    if config.encoder.name:
        named["encoder.source"] = config.encoder.source
    for field, source in named.items():
        if source not in ("", networks.RANDOM) and not source.startswith(f"{root}/"):
            networks.locate(field, source, "")


def _check_same(run: paths.Path, resolved: fields.Resolved) -> None:
    """Raises ValueError where the run was trained with another config. What the training takes over
    from elsewhere is compared where it goes on, if it does.
    """
    resolved = fields.with_runs(resolved)
    saved, now = fields.complete(runs.read_config(run)), resolved.config
    now.data.name, saved.data.name = run_data.full_names(
        now.data.name, saved.data.name, now.data.data_dir
    )
    taken = (*_TAKEN, *now.frozen)
    names = configs.flatten(saved).keys() | configs.flatten(now).keys()
    elsewhere = [
        name
        for name in names
        if (name.startswith(tuple(f"{section}." for section in taken)) or "vocab_size" in name)
        and resolved.origins.get(name) != fields.TOLD
    ]
    lines = same_run.compare_configs(saved.to_dict(), now.to_dict(), [*_MAY_DIFFER, *elsewhere])
    if lines:
        raise ValueError(
            f"it was trained with another config ({'; '.join(lines)}): remove that run, or name "
            "another --workdir"
        )


def _told(line: str, points: list[Point], count: int) -> str:
    if count > 1 and len(points) == count:
        return f"all {count} points: {line}"
    names = [point.folder for point in points]
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{shown}: {line}"


def layers(points: Iterable[Point]) -> list[list[Point]]:
    """The points by what they need: of each other, only runs of earlier layers. ValueError where
    there is no such order.
    """
    left, found, had = list(points), [], set()
    folders = {point.folder for point in left}
    while left:
        layer = [point for point in left if not {*point.needs} & folders - had]
        if not layer:
            raise ValueError(f"{left[0].folder} and others need each other's runs")
        found.append(layer)
        had |= {point.folder for point in layer}
        left = [point for point in left if point not in layer]
    return found
