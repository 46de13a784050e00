"""What trainings of the debug config need."""

import pytest
from devices import use_devices

from t2i_jax.data import catalog


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A few toy birds, prepared."""
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=64, size=48)
    return folder


@pytest.fixture(scope="module")
def one_device():
    """Trainings in this process see one device."""
    with pytest.MonkeyPatch.context() as patch:
        use_devices(patch, 1)
        yield
