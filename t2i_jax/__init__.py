"""Text-to-image GANs in JAX: train, ablate, compare and sample.

    import t2i_jax
    images = t2i_jax.Sampler.from_workdir("runs/birds").sample(["a small red bird"], seed=0)

Importing the package loads no JAX; using what it offers does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2i_jax.api import (
        Config,
        EvaluationResult,
        TrainingResult,
        evaluate,
        load_config,
        prepare,
        show,
        train,
    )
    from t2i_jax.sampler import CaptionWarning, Sampler

__version__: str  # of the installed package

__all__ = [
    "CaptionWarning",
    "Config",
    "EvaluationResult",
    "Sampler",
    "TrainingResult",
    "__version__",
    "evaluate",
    "load_config",
    "prepare",
    "show",
    "train",
]
_OF_THE_SAMPLER = ("CaptionWarning", "Sampler")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("t2i_jax")
    if name in __all__:
        module = "sampler" if name in _OF_THE_SAMPLER else "api"
        return getattr(importlib.import_module(f"t2i_jax.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
