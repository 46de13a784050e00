"""Fixtures of the whole suite, and the settings that keep it quick on two cores."""

import gc
import os
import pathlib

from quick_compiling import options

os.environ.setdefault("JAX_PLATFORMS", "cpu")
_FLAGS = f"--xla_force_host_platform_device_count=4 {options()}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()

import jax  # noqa: E402
import pytest  # noqa: E402
from fake_store import store  # noqa: E402, F401

# Tracing makes many small objects that stay: at Python's own thresholds a tenth of a
# training's test goes into looking for garbage among them.
gc.set_threshold(20_000, 10, 5)

ROOT = pathlib.Path(__file__).resolve().parent.parent

jax.config.update("jax_compilation_cache_dir", str(ROOT / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# The files that take a minute and more. A worker runs whole files: one that it began last would run
# on when the others are done.
_FIRST = (
    "test_configs.py",
    "test_parity.py",
    "training/test_processes.py",
    "evaluation/test_numbers.py",
    "test_python_page.py",
    "training/test_not_finite.py",
    "training/test_stopping.py",
)


def pytest_collection_modifyitems(items):
    places = {ROOT / "tests" / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_addoption(parser):
    parser.addoption(
        "--golden-dir",
        type=pathlib.Path,
        default=ROOT / "tests" / "golden",
        help="folder with the *.npz files of reference numbers",
    )


@pytest.fixture(scope="session")
def golden_dir(request) -> pathlib.Path:
    """The folder of reference numbers; sizes are read off the arrays in it."""
    return request.config.getoption("--golden-dir").resolve()


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Small real pieces of the data sets in their own layouts; never part of the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder
