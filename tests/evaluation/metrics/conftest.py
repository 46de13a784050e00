import numpy as np
import pytest


@pytest.fixture(scope="session")
def golden(golden_dir):
    """Numbers of torch-fidelity, of prdc, and of 50-digit arithmetic."""
    with np.load(golden_dir / "metrics.npz") as file:
        return dict(file)
