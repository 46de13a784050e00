"""Text-to-image GANs in JAX: train, ablate, compare and sample.

    import t2i_jax
    images = t2i_jax.Sampler.from_workdir("runs/birds").sample(["a small red bird"], seed=0)

Importing the package loads no JAX; using `Sampler` does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2i_jax.sampler import CaptionWarning, Sampler

__all__ = ["CaptionWarning", "Sampler", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("CaptionWarning", "Sampler"):
        return getattr(importlib.import_module("t2i_jax.sampler"), name)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("t2i_jax")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
