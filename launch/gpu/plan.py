"""What `launch/gpu_check.py` measures: at the papers' sizes, or tiny, to try the script itself."""

import dataclasses
from collections.abc import Mapping, Sequence

from gpu.training import Training

DTYPES = ("bfloat16", "float32")  # in the order in which they are measured
CHANNELS_LAST = "bfloat16 channels_last"

# Aims: images a second relative to PyTorch's, by its dtype; model FLOPs utilization.
TIMES = {"float32": 4.0, CHANNELS_LAST: 2.0}
MFU, MFU_OF = 0.2, {"xmc_gan": 0.4}


@dataclasses.dataclass(frozen=True)
class System:
    """config: as ``--config`` takes it. batch: of the paper, or of one device of the paper's."""

    config: str
    batch: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """systems: by name, in the order in which they are measured; torch: those that PyTorch runs.

    steps: that are timed. options: more arguments of every benchmark.
    limits: seconds by part, in the order of the parts. run: seconds of one process at most.
    doublings: of a batch, at most, until it no longer fits.
    """

    systems: Mapping[str, System]
    torch: Sequence[str]
    steps: int
    limits: Mapping[str, float]
    run: float
    doublings: int
    training: Training
    options: Sequence[str] = ()


FULL = Plan(
    systems={
        "stack_gan_v2": System("stack_gan_v2:cub", 24),
        "df_gan": System("df_gan:cub", 32),
        "xmc_gan": System("xmc_gan:coco", 32),
        "attn_gan": System("attn_gan:cub", 20),
        "rat_gan": System("rat_gan:cub", 24),
        "dr_gan": System("dr_gan:cub", 22),
        "dm_gan": System("dm_gan:cub", 10),
        "stack_gan_v1_stage2": System("stack_gan_v1_stage2:cub", 64),
        "stack_gan_v1": System("stack_gan_v1:cub", 64),
        "gan_int_cls": System("gan_int_cls:cub", 64),
    },
    torch=("stack_gan_v2", "df_gan"),
    steps=20,
    limits={"steps": 360.0, "torch": 80.0, "training": 300.0, "batches": 60.0},
    run=240.0,
    doublings=6,
    training=Training(),
)

_BRIEFLY = ("--train.duration=2 steps", "--train.log_every=1 steps", "--data.batch=8")
TINY = Plan(
    systems={name: System(f"{name}:debug", 4) for name in ("stack_gan_v2", "df_gan")},
    torch=("stack_gan_v2", "df_gan"),
    steps=2,
    limits={"steps": 300.0, "torch": 120.0, "training": 240.0, "batches": 120.0},
    run=240.0,
    doublings=1,
    training=Training(images=60, overrides=dict.fromkeys(("damsm", "gan"), _BRIEFLY)),
    options=("--peak=1e11",),  # of a CPU nobody knows it
)
