"""What `launch/step_ratios.py` measures by name, and how low the ratios are meant to be.

Systems of the papers' sizes where a step of a stand-in under torch takes ten CPU-seconds at most;
the others with fewer images, at a smaller side or of half the width.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

BEFORE = "35c48c7"  # the commit before the step's rewrites
TORCH = "torch"
PEAK = 0.8  # the aim of every step's memory


@dataclasses.dataclass(frozen=True)
class Case:
    """A config, cut to what a CPU does in seconds.

    config: as ``--config`` takes it. overrides: by field.
    ratios: CPU-seconds of a step relative to another side's, at most, by that side.
    init, compile: CPU-seconds at most of `init_state` and of compiling the step; None: no aim.
    """

    config: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)
    init: float | None = None
    compile: float | None = None


# The form of the authors' PyTorch release of Stage I.
_RELEASED_V1 = {
    "generator.activation": "relu",
    "discriminator.text_dim": 0,
    "discriminator.join_kernel": 3,
    "recipe.mismatch": "shift",
    "data.mismatch": "",
}
# What a PyTorch port that is much used has: narrow networks, no residual block in D, no sentences
# between two captions, other images as the wrong pair.
_PORT = {
    "generator.channels": 64,
    "discriminator.residual": False,
    "discriminator.variant": "cls",
    "loss.g.interp": 0.0,
    "recipe.mismatch": "image",
    "data.mismatch": "image",
}


def _both(**fields: int) -> dict[str, int]:
    """Fields of G and of D."""
    players = "generator", "discriminator"
    return {f"{player}.{name}": value for player in players for name, value in fields.items()}


CASES = {
    "stack_gan_v2": Case(
        "stack_gan_v2:cub", {"data.batch": 4}, {BEFORE: 0.65}, init=10.0, compile=45.0
    ),
    "stack_gan_v1": Case("stack_gan_v1:cub", {**_RELEASED_V1, "data.batch": 16}, {BEFORE: 0.75}),
    "gan_int_cls": Case("gan_int_cls:cub", {**_PORT, "data.batch": 16}, {BEFORE: 0.85}),
    "attn_gan": Case("attn_gan:cub", {"data.batch": 4}, {TORCH: 0.7}),
    "dr_gan": Case("dr_gan:cub", {"generator.channels": 32, "data.batch": 2}, {TORCH: 0.7}),
    "df_gan": Case("df_gan:cub", {"data.batch": 3}, {TORCH: 0.7}),
    "rat_gan": Case("rat_gan:cub", {**_both(channels=32), "data.batch": 2}, {TORCH: 0.7}),
    "xmc_gan": Case(
        "xmc_gan:cub",
        {
            **_both(channels=64, image_size=128),
            "data.size": 128,
            "data.batch": 2,
            "dtype": "float32",
        },
        {TORCH: 0.7},
    ),
}
