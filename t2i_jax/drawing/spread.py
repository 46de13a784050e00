"""Batches shared out over the devices of this process, for what only reads networks."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


class Spread:
    """Rows over devices, networks on each of them.

    devices: None leaves every array where JAX puts it. TypeError for what are none.
    """

    def __init__(self, devices: Sequence[jax.Device] | None):
        listed = hasattr(devices, "__len__") and len(devices)
        if devices is not None and not (listed and all(isinstance(d, jax.Device) for d in devices)):
            raise TypeError(f"devices={devices!r}: some of JAX's are needed, as of jax.devices()")
        self._count = 1 if devices is None else len(devices)
        self._by_rows = self._whole = None
        if devices is not None:
            mesh = Mesh(np.asarray(devices), ("rows",), axis_types=(AxisType.Auto,))
            self._by_rows = NamedSharding(mesh, PartitionSpec("rows"))
            self._whole = NamedSharding(mesh, PartitionSpec())

    def rounded_up(self, batch_size: int) -> int:
        """The batch size, or the next multiple of the devices."""
        return -(-batch_size // self._count) * self._count

    def rows(self, tree: Any) -> Any:
        """A batch whose leading axis is shared out; it must be a multiple of the devices."""
        return tree if self._by_rows is None else jax.device_put(tree, self._by_rows)

    def replicated(self, tree: Any) -> Any:
        """A tree that every device holds whole."""
        return tree if self._whole is None else jax.device_put(tree, self._whole)
