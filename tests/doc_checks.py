"""Whether a command line would begin its work: asks the command's own parser, and resolves the
configs and grids that it names.
"""

import ast
import contextlib
import functools
import importlib
import importlib.util
import io
import pathlib
import pkgutil
import re
import sys

from doc_commands import ROOT

from t2i_jax import commands as rooms
from t2i_jax import config as configs
from t2i_jax.data import catalog
from t2i_jax.sweeps import entries
from t2i_jax.training import fields, modules, ranges

# What stands for a value in the documents, by the option that takes it.
PLACEHOLDERS = {
    r"--config=(NAME:ARG|FILE\.py:ARG|configs/x\.py:arg|\.\.\.)": "--config=gan_int_cls:cub",
    r"--protocol=NAME": "--protocol=fid30k",
    r"--dataset=NAME": "--dataset=toy_birds",
    r"(--\w+)=(N|I)": r"\1=8",
}
ROOMS = {module.name for module in pkgutil.iter_modules(rooms.__path__)}


def filled(word: str) -> str:
    for pattern, value in PLACEHOLDERS.items():
        word = re.sub(f"^{pattern}$", value, word)
    return word


def parsed(module, words: list[str]):
    """The arguments of a command's own parser."""
    if hasattr(module, "parse"):
        return module.parse(words)
    return module.parser().parse_args(words)


@functools.cache
def describes_networks(spec: str, assignments: tuple[str, ...]) -> None:
    """Raises ValueError where a config with overrides is not one that could be trained."""
    resolved = fields.resolve(spec, assignments)
    resolved.check()
    config = resolved.config
    ranges.check(configs.flatten(config))
    others = {name: None for name in config.frozen if name not in config}
    modules.make_recipe(config, others)


def check_module(name: str, words: list[str]) -> None:
    """Raises ValueError where the command of that name does not take the words."""
    if name == "sweep":
        check_sweep(words)
        return
    if name not in ROOMS:
        raise ValueError(f"t2i_jax has no command {name!r}; known: {sorted(ROOMS)}")
    if "--help" in words:
        return
    args = parsed(importlib.import_module(f"t2i_jax.commands.{name}"), words)
    if name == "train":
        describes_networks(args.config, tuple(f"{k}={v}" for k, v in args.given.items()))
    elif name == "benchmark":
        for spec in args.config:
            describes_networks(spec, tuple(args.overrides))
    elif name == "prepare" and "." not in args.dataset:
        catalog.DATASETS[args.dataset]
    elif name == "import_weights":
        module = modules.recipe_module(args.system)
        assert hasattr(module, "Recipe")
        encoder = [f"encoder.name={args.encoder or 'bert'}"] if args.text_encoder else []
        released = [a for a in args.overrides if not a.startswith("--encoder.fields.")]
        fields.resolve(a_config_of(args.system), [*encoder, *released])
        if released != args.overrides:
            cls = modules.encoder_class(args.encoder or "bert")
            known = {field for field in cls.__dataclass_fields__}
            named = {a.split("=")[0].split(".")[-1] for a in {*args.overrides} - {*released}}
            assert named <= known, f"{cls.__name__} has no {named - known}"


def a_config_of(system: str) -> str:
    return next(
        f"configs/{system}.py:{arg}"
        for arg in ("cub", "coco", "coco_released")
        if loads(f"configs/{system}.py:{arg}")
    )


def loads(spec: str) -> bool:
    try:
        configs.load(spec)
    except ValueError:
        return False
    return True


def check_sweep(words: list[str]) -> None:
    """Raises ValueError where a sweep, or a point of it, would not begin."""
    if "--help" in words:
        return
    from t2i_jax.sweeps import command_line

    asked = command_line.parse(words).asked
    for point in asked.points(entries.load(asked.sweep), [0]):
        describes_networks(point.config, tuple(asked.assignments(point)))


def check_script(path: str, words: list[str], monkeypatch) -> None:
    """Raises where a script of ours is missing or does not take the words."""
    assert (ROOT / path).is_file(), f"there is no {path}"
    if path == "launch/sweep.py":
        check_sweep(words)
    elif path.endswith(".py"):
        monkeypatch.syspath_prepend(str((ROOT / path).parent))
        name = f"shown_{pathlib.Path(path).stem}"
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [path, *words])
        module.parse()


def check(words: list[str], monkeypatch) -> None:
    """Raises where a command line would be refused."""
    words = [filled(word) for word in words]
    match words:
        case ["t2i-jax", ("--help" | "--version")] | ["t2i-jax", "COMMAND", "--help"]:
            return
        case ["t2i-jax", name, *rest]:
            check_module(name.replace("-", "_"), rest)
        case ["python", "-m", "pytest", *rest]:
            for word in rest:
                assert "/" not in word or (ROOT / word).exists(), f"there is no {word}"
        case ["python", "-m", module, *rest]:
            check_module(module.removeprefix("t2i_jax."), rest)
        case ["pip", "install", *rest]:
            found = re.findall(r"\[([\w,]+)\]", " ".join(rest))
            unknown = {x for extra in found for x in extra.split(",")} - set(extras())
            assert not unknown, f"setup.py has no extra {unknown}"
        case [("python" | "bash"), path, *rest]:
            check_script(path, rest, monkeypatch)


@functools.cache
def extras() -> list[str]:
    """Names of setup.py's extras."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    setup = next(
        n for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "extras_require"
    )
    return [key.value for key in setup.value.keys]


def refused(words: list[str], monkeypatch) -> str:
    """Why a command would not run; "" where it would."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            check(words, monkeypatch)
    except SystemExit as error:
        return told.getvalue().strip().rpartition("\n")[2] if error.code else ""
    except (Exception, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    return ""
