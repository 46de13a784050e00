"""Trainings in this process on some of its devices."""

import jax

from t2i_jax.training import parallel


def use_devices(patch, count: int) -> None:
    """Makes the parallel modules see the first `count` devices only, while the patch lasts."""
    devices = jax.devices()[:count]
    patch.setattr(parallel.jax, "devices", lambda *a: devices)
    patch.setattr(parallel.jax, "local_devices", lambda *a: devices)
    patch.setattr(parallel.jax, "device_count", lambda *a: count)
