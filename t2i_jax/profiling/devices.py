"""What accelerators can do at most, by their makers' data sheets.

Sources: NVIDIA's data sheets of V100, T4, A100, L4, H100 and H200 (products of dense matrices: half
of what is printed "with sparsity"), and docs.cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}. Bandwidths
between devices count one direction, where the sheet counts both together.
"""

import dataclasses
from collections.abc import Sequence

from t2i_jax.config import suggest

# Of a GPU in its maker's own servers: a port of 400 Gbit/s for each H100, of 200 for each A100. Of
# others it depends on the machine that they stand in; 100 Gbit/s are assumed.
_H100_NETWORK, _A100_NETWORK, _NETWORK = 50.0, 25.0, 12.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """One chip. FLOPS are FLOPs a second, bandwidths bytes a second.

    kinds: how jax names it (``jax.devices()[0].device_kind``), in lower case; of a name that is the
      beginning of several, the longest counts.
    bfloat16: peak; None where there is no unit for it.
    float32: peak as jax computes with float32 unless told otherwise: with TF32 on NVIDIA's from
      Ampere on, in one bfloat16 pass on TPUs, in full before Ampere.
    memory, bandwidth: of the chip's own memory, in bytes.
    link: what one chip sends at most to others of its group. group: how many such links join: a
      server with NVLink, a TPU's pod; 1 without links.
    network: what a chip sends at most beyond its group.
    """

    kinds: tuple[str, ...]
    bfloat16: float | None
    float32: float
    memory: float
    bandwidth: float
    link: float
    group: int
    network: float

    def peak(self, dtype: str) -> float | None:
        """FLOPS of a config's ``dtype``."""
        return {"bfloat16": self.bfloat16, "float32": self.float32}[dtype]

    def between(self, count: int) -> float:
        """What each of `count` chips sends at most, all at once."""
        return self.link if count <= self.group else self.network


def _gpu(
    kinds: Sequence[str],
    bfloat16: float | None,
    float32: float,
    gigabytes: float,
    bandwidth: float,
    link: float = 0.0,
    network: float = _NETWORK,
) -> Device:
    """In TFLOPS, GB and GB/s. link: of NVLink, between the 8 of a server."""
    return Device(
        kinds=tuple(kinds),
        bfloat16=None if bfloat16 is None else bfloat16 * 1e12,
        float32=float32 * 1e12,
        memory=gigabytes * 1e9,
        bandwidth=bandwidth * 1e9,
        link=link * 1e9,
        group=8 if link else 1,
        network=network * 1e9,
    )


def _tpu(
    kinds: Sequence[str],
    peak: float,
    gigabytes: float,
    bandwidth: float,
    link: float,
    pod: int,
    network: float,
) -> Device:
    """In TFLOPS, GB and GB/s. network: of the pod's data centre network, a chip."""
    return Device(
        kinds=tuple(kinds),
        bfloat16=peak * 1e12,
        float32=peak * 1e12,
        memory=gigabytes * 1e9,
        bandwidth=bandwidth * 1e9,
        link=link * 1e9,
        group=pod,
        network=network * 1e9,
    )


DEVICES = {
    "h200": _gpu(["nvidia h200"], 989.4, 494.7, 141, 4800, 450, _H100_NETWORK),
    "h100": _gpu(["nvidia h100 80gb hbm3"], 989.4, 494.7, 80, 3350, 450, _H100_NETWORK),
    "h100-pcie": _gpu(["nvidia h100 pcie"], 756, 378, 80, 2000),
    "a100": _gpu(["nvidia a100-sxm4-80gb"], 312, 156, 80, 2039, 300, _A100_NETWORK),
    "a100-pcie": _gpu(["nvidia a100 80gb pcie"], 312, 156, 80, 1935),
    "a100-40gb": _gpu(["nvidia a100-sxm4-40gb"], 312, 156, 40, 1555, 300, _A100_NETWORK),
    "a100-40gb-pcie": _gpu(["nvidia a100-pcie-40gb"], 312, 156, 40, 1555),
    "l4": _gpu(["nvidia l4"], 121, 60, 24, 300),
    "v100": _gpu(["tesla v100-sxm2", "tesla v100-sxm3"], None, 15.7, 16, 900, 150),
    "t4": _gpu(["tesla t4"], None, 8.1, 16, 320),
    "tpu-v4": _tpu(["tpu v4"], 275, 32, 1200, 300, 4096, 6.25),
    "tpu-v5e": _tpu(["tpu v5 lite", "tpu v5e"], 197, 16, 819, 200, 256, 3.125),
    "tpu-v5p": _tpu(["tpu v5", "tpu v5p"], 459, 95, 2765, 600, 8960, 6.25),
    "tpu-v6e": _tpu(["tpu v6 lite", "tpu v6e"], 918, 32, 1638, 400, 256, 12.5),
}


def find(name: str) -> Device:
    """The device of a name of `DEVICES`; ValueError for an unknown one."""
    if name not in DEVICES:
        raise ValueError(f"device {name!r} is not known{suggest(name, DEVICES)}")
    return DEVICES[name]


def recognised(kind: str) -> Device | None:
    """The device that jax names so; None for one that is not among `DEVICES`, such as a CPU."""
    matches = [
        (len(begin), name)
        for name, device in DEVICES.items()
        for begin in device.kinds
        if kind.lower() == begin or kind.lower().startswith((f"{begin} ", f"{begin}-"))
    ]
    return DEVICES[max(matches)[1]] if matches else None
