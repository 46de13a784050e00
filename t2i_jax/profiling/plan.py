"""What a step would cost on accelerators that are not at hand.

FLOPs, memory and what devices send each other are of the program compiled for as many virtual
devices, each number of them in a process of its own (`t2i_jax.profiling.planned`). The time is an
estimate: the longest of three, as if the others were hidden behind it.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict

from t2i_jax.profiling.devices import Device

EFFICIENCY = 0.4  # of the peak, that the products of a large convolutional network reach

# The program is never run: machine code is made as quickly as it can be.
_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_COUNT = "--xla_force_host_platform_device_count"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One number of devices. Bytes and seconds are of each device and step.

    images: of a step, on all devices together, sub-batches included.
    flops: of all devices together.
    memory: for the step's arguments, results and temporaries.
    sent: bytes, by the kind of collective; see `collectives.Collective.sent`.
    compute, bandwidth, network: seconds; compute at `efficiency` of the peak, bandwidth at most: an
      accelerator's compiler keeps more of what it reads than the one for CPUs.
    fits: whether the device has that memory.
    compile_seconds: that the plan took for it.
    """

    devices: int
    images: int
    flops: float
    memory: int
    arguments: int
    bytes_accessed: float
    sent: dict[str, float]
    compute: float
    bandwidth: float
    network: float
    efficiency: float
    fits: bool
    compile_seconds: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.bandwidth, self.network)

    @property
    def bound(self) -> str:
        """What takes longest."""
        names = ("compute", "bandwidth", "network")
        return max(names, key=lambda name: getattr(self, name))

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds

    @property
    def mfu(self) -> float:
        """Of the peak, in the estimated time; `compute` at most takes all of it."""
        return self.efficiency * self.compute / self.seconds


def rows_for(batch: int, devices: int, split: bool) -> int:
    """Rows of a device: the config's batch, or its part where the batch is split; ValueError where
    it cannot be.
    """
    if not split:
        return batch
    if batch % devices:
        raise ValueError(
            f"data.batch={batch} cannot be split over {devices} devices: choose a multiple of "
            f"{devices}, or leave --split out for as many rows on each device"
        )
    return batch // devices


def programs(
    config: ConfigDict, counts: Sequence[int], split: bool = False
) -> Iterator[dict[str, Any]]:
    """What `planned.program` finds for every number of devices, and ``rows`` on each.

    ValueError, with the last line of what it said, where the program of one cannot be made.
    """
    rows = [rows_for(config.data.batch, count, split) for count in counts]
    for count in counts:
        if config.parallel == "jit" and count % config.fsdp:
            raise ValueError(f"fsdp={config.fsdp} does not divide {count} devices")
    for count, each in zip(counts, rows, strict=True):
        yield _in_process(config, count, each)


def _in_process(config: ConfigDict, count: int, rows: int) -> dict[str, Any]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS} {_COUNT}={count}"
    done = subprocess.run(
        [sys.executable, "-m", "t2i_jax.profiling.planned"],
        input=json.dumps({"config": config.to_dict(), "rows": rows}),
        env={**os.environ, "XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise ValueError(f"no program for {count} devices: {said[-1]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "rows": rows}


def row(
    found: dict[str, Any], device: Device, dtype: str, d_steps: int, efficiency: float = EFFICIENCY
) -> Row:
    """A program's numbers, and the times that a device would take for it. ValueError for a device
    without units for `dtype`.
    """
    peak, count = device.peak(dtype), found["devices"]
    if peak is None:
        raise ValueError(f"this device does not compute in {dtype}: set dtype=float32")
    memory = found["arguments"] + found["temporaries"] + found["results"]
    sent = {kind: one["sent"] for kind, one in found["collectives"].items()}
    return Row(
        devices=count,
        images=found["rows"] * count * d_steps,
        flops=found["flops"],
        memory=memory,
        arguments=found["arguments"],
        bytes_accessed=found["bytes_accessed"],
        sent=sent,
        compute=found["flops"] / count / (peak * efficiency),
        bandwidth=found["bytes_accessed"] / device.bandwidth,
        network=sum(sent.values()) / device.between(count),
        fits=memory <= device.memory,
        compile_seconds=found["seconds"],
        efficiency=efficiency,
    )
