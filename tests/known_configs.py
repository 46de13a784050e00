"""The config files that come with the package, and their arguments."""

import pathlib
import re

import pytest

from t2i_jax import config as configs

CONFIGS = sorted((pathlib.Path(__file__).resolve().parent.parent / "configs").glob("*.py"))


def arguments(path: pathlib.Path) -> list[str]:
    """The arguments that a config file names where it gets a wrong one."""
    with pytest.raises(ValueError, match="known: ") as error:
        configs.load(f"{path}:?")
    known, _, more = str(error.value).partition("known: ")[2].partition(", also with ")
    found = known.split(", ")
    return found + [f"{arg}{suffix}" for suffix in re.findall(r"'(\w+)'", more) for arg in found]
