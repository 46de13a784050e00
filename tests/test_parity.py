"""Our networks, losses and updates against numbers computed by other implementations.

``tests/parity/<system>.py`` has ``CASES``: names to functions that take the arrays of
``<golden-dir>/<system>.npz`` and assert. A new system is a new file there. Run with
``pytest tests/test_parity.py --golden-dir=FOLDER``; the folder must hold every system's file.
"""

import importlib
import pathlib
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for `parity`, whatever pytest's import mode


def _cases():
    cases = []
    for path in sorted((HERE / "parity").glob("[!_]*.py")):
        module = importlib.import_module(f"parity.{path.stem}")
        for name, case in module.CASES.items():
            cases.append(pytest.param(path.stem, case, id=f"{path.stem}-{name}"))
    return cases


@pytest.fixture(scope="module")
def load_golden(golden_dir):
    """Arrays of a system's file, read once."""
    loaded = {}

    def load(system: str) -> dict[str, np.ndarray]:
        if system not in loaded:
            path = golden_dir / f"{system}.npz"
            if not path.is_file():
                pytest.fail(
                    f"{path} is missing: restore it from the repository, or name a folder that "
                    "has it with --golden-dir",
                    pytrace=False,
                )
            with np.load(path) as arrays:
                loaded[system] = dict(arrays)
        return loaded[system]

    return load


@pytest.mark.parametrize(("system", "case"), _cases())
def test_parity(system, case, load_golden):
    case(load_golden(system))
