"""Whether a checkpoint belongs to the config that is about to continue it."""

import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any

ABSENT = "absent"

# What a run may be continued with: how long and how often, what is logged, where it runs and
# reads, what it computes again to hold less; and how fast it learns, so that a run which diverged
# can go on from its last checkpoint.
MAY_CHANGE = (
    "train",
    "log",
    "parallel",
    "fsdp",
    "remat",
    "generator.remat",
    "discriminator.remat",
    "data.data_dir",
    "data.threads",
    "data.workers",
    "data.prefetch",
    # Runs are moved. A run goes on with the networks that it has kept, and says so where the
    # source has other weights by now (`build.build`).
    "encoder.source",
    "frozen",
    "encoder.cache",
    "optim.*.lr",
    "optim.*.lr_floor",
    "optim.*.schedule",
    "optim.*.clip_norm",
    "optim.*.clip",
)


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def compare_configs(
    saved: Mapping[str, Any], current: Mapping[str, Any], ignore: Iterable[str] = ()
) -> list[str]:
    """Lines such as ``"model.generator.channels: saved 128, now 64"``, sorted by field.

    saved, current: JSON dicts, nested. They are compared as JSON: a tuple equals a list.
    ignore: fields, or parents of fields, that may differ: ``"train.duration"``, ``"log"``,
        ``"optim.*.lr"``.
    """
    ignore = tuple(ignore)
    old = _flatten(json.loads(json.dumps(saved)))
    new = _flatten(json.loads(json.dumps(current)))
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(name, f"{p}.*") for p in ignore):
            continue
        # Compared as text, in which nan equals nan and true differs from 1.
        texts = [json.dumps(side[name]) if name in side else ABSENT for side in (old, new)]
        equal = name in old and name in new and old[name] == new[name]
        if texts[0] != texts[1] and not (equal and _numbers(old[name], new[name])):
            lines.append(f"{name}: saved {texts[0]}, now {texts[1]}")
    return lines


def _numbers(*values) -> bool:
    """Both are numbers: 1 and 1.0 are the same setting."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def check_same_run(
    saved: Mapping[str, Any],
    current: Mapping[str, Any],
    where: Any = "the checkpoint",
    ignore: Iterable[str] = MAY_CHANGE,
) -> None:
    """Raises ValueError that lists every differing field of the two configs.

    where: the directory of the run, for the message. The rest as in `compare_configs`.
    """
    lines = compare_configs(saved, current, ignore)
    if lines:
        raise ValueError(
            f"{where} was written with another config:\n  "
            + "\n  ".join(lines)
            + "\nContinue it with the config it was started with, or start a new run in another "
            "workdir."
        )
