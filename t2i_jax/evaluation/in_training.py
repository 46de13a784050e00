"""Evaluations that a training runs at its checkpoints, as ``config.evals`` names them.

The training loop imports no evaluation: the command line hands it `evaluators`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from t2i_jax.config import suggest
from t2i_jax.data.options import DataOptions
from t2i_jax.evaluation.retrieval import Retrieval
from t2i_jax.training.build import System

Evaluator = Callable[[Mapping[str, Any]], dict[str, float]]  # of averaged networks

_KINDS: dict[str, Callable[[System, DataOptions, int], Evaluator]] = {"retrieval": Retrieval}


def evaluators(system: System, options: DataOptions) -> dict[str, Evaluator]:
    """The evaluations of a training by name; ValueError for an unknown name."""
    section = system.config.evals
    for name in section.names:
        if name not in _KINDS:
            raise ValueError(f"evals.names: no {name!r}{suggest(name, _KINDS)}")
    return {name: _KINDS[name](system, options, section.records) for name in section.names}
