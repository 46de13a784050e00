"""The floors of the house: a file imports only from floors below its own, walls hold."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "t2i_jax"

FLOORS = {
    **dict.fromkeys(("paths", "arguments", "config_files", "duration"), -1),
    **dict.fromkeys(("versions", "multihost", "signals", "fonts", "waiting"), -1),
    **dict.fromkeys(("choices", "config", "types", "axis", "in_order", "keys"), 0),
    **dict.fromkeys(("owner", "pictures"), 0),
    "notebooks": 1,
    **dict.fromkeys(("losses", "models", "encoders", "data", "config_parts", "completion"), 1),
    "recipes": 2,
    **dict.fromkeys(("training", "drawing", "profiling", "evaluation", "interop"), 3),
    **dict.fromkeys(("reporting", "sampler", "demo_page", "exporting"), 3),
    **dict.fromkeys(("commands", "loaded_config"), 4),
    **dict.fromkeys(("api", "sweeps"), 5),
    # What `python -m` finds.
    **dict.fromkeys(("train", "sample", "evaluate", "report", "prepare"), 6),
    **dict.fromkeys(("benchmark", "import_weights", "demo", "export", "sweep", "__main__"), 6),
}
# Blocks that rooms of the same floor share.
SHARED = ("t2i_jax.models.layers", "t2i_jax.models.convolutions", "t2i_jax.models.attention")
# Third-party packages that only some rooms may import.
WALLS = {
    "grain": ("data",),
    "tensorflow_datasets": ("data",),
    "pyarrow": ("data/layouts/own",),
    "orbax": ("training/checkpoints", "training/checkpoints_item"),
    "tensorflow": (),
    "configs": (),
    "gradio": ("demo_page",),
    "optuna": ("sweeps/searching",),
    "argcomplete": ("completion",),
    "torch": (),
    "huggingface_hub": ("exporting/hub",),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: pathlib.Path) -> str:
    """The first part of a file's place in the package: a folder, or the file's own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: pathlib.Path) -> set[str]:
    """Full dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_from_floors_below(path):
    here = room(path)
    if here == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "t2i_jax" or len(parts) == 1:
            continue
        there = parts[1]
        assert there in FLOORS, f"{path}: {name} is in no known room"
        same_room = there == here or name.startswith(SHARED)
        assert same_room or FLOORS[there] < FLOORS[here] or (FLOORS[here] == FLOORS[there] == 3), (
            f"{path.relative_to(ROOT)} (floor {FLOORS[here]}) imports {name} "
            f"(floor {FLOORS[there]})"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_walls_hold(path):
    place = str(path.relative_to(PACKAGE).with_suffix(""))
    for name in imported(path):
        package = name.split(".")[0]
        if package in WALLS:
            assert any(place.startswith(ok) for ok in WALLS[package]), (
                f"{place} imports {package}; only {WALLS[package]} may"
            )
    if room(path) == "data" or place.startswith("evaluation/metrics/"):
        assert not any(n.split(".")[0] in ("jax", "flax") for n in imported(path)), place


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path):
    most = 300 if room(path) == "models" else 400
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_the_package_loads_no_jax_before_it_is_used():
    code = (
        "import sys, t2i_jax, t2i_jax.api, t2i_jax.train, t2i_jax.prepare, t2i_jax.evaluate;"
        "t2i_jax.train, t2i_jax.prepare, t2i_jax.evaluate, t2i_jax.load_config, t2i_jax.show;"
        "bad = {'jax', 'flax', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_nothing_of_the_data_layer_loads_tensorflow():
    """Nor jax, but for Grain, which imports jax itself where it is installed."""
    code = (
        "import sys, t2i_jax, t2i_jax.data.catalog, t2i_jax.commands.prepare;"
        "import t2i_jax.data.tokenizers;"
        "bad = {'tensorflow', 'torch', 'jax', 'flax'} & set(sys.modules); assert not bad, bad;"
        "import t2i_jax.data.pipeline, t2i_jax.training.loop;"
        "bad = {'tensorflow', 'torch'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
