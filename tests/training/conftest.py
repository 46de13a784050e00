"""What trainings of the debug config need."""

import jax
import pytest

from t2i_jax.data import catalog
from t2i_jax.training import parallel


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A few toy birds, prepared."""
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=64, size=48)
    return folder


@pytest.fixture(scope="module")
def one_device():
    """Trainings in this process see one device."""
    devices = jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel.jax, "devices", lambda *a: devices)
        patch.setattr(parallel.jax, "local_devices", lambda *a: devices)
        patch.setattr(parallel.jax, "device_count", lambda *a: 1)
        yield
