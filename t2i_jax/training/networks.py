"""Networks that a run uses and does not train, wherever they come from.

A source, as ``encoder.source`` or ``frozen.<name>`` has it, is one of

    random      an untrained network, for tests and benchmarks
    RUN         the directory of a run, of which the field's usual part is taken, from its best
                checkpoint where ``evals.best`` chose one, else from its latest
    RUN:part    the same, another part of it
    FILE        published weights (a file, or a folder that is no run) that `t2i_jax.interop` reads
                for this kind of network, or a .safetensors file that a run of this library has kept
    NAME        published weights in an installed Python package (`t2i_jax.interop.packages`)

Every run keeps its own copy of these networks in ``<run>/frozen``, so that it can be resumed and
sampled alone, moved or not.
"""

import contextlib
import dataclasses
import importlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.config import suggest
from t2i_jax.data import tokenizers
from t2i_jax.interop import packages, weights
from t2i_jax.training import exported, runs
from t2i_jax.training.modules import (
    class_name,
    construct,
    encoder_class,
    fields_of,
    make_recipe,
    module_hints,
    named_class,
    recipe_module,
)

RANDOM = "random"
TEXT_ENCODER = "encoder"  # the part of any run with text: the encoder that it read captions with


class NoSource(FileNotFoundError):
    """A source is neither a run nor a file nor a package."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with its weights.

    variables: NumPy arrays. tokenizer: of a run's text encoder, else None.
    """

    module: nn.Module
    variables: Any
    tokenizer: tokenizers.Tokenizer | None = None


def resolve(
    field: str,
    source: str,
    part: str,
    kind: type[nn.Module] = nn.Module,
    told: Mapping[str, Any] | None = None,
) -> Network:
    """The network that a source names.

    field: of the config, for messages. part: the part of a run that is taken where the source names
    none. kind: what it must be. told: its fields in the config, of which the readers of published
    files take what no file tells.

    Raises `NoSource` where the source is neither a run nor a file, FileNotFoundError where it is a
    package that is not installed; ValueError where the run has no such part, the file cannot be
    read, or it is a network of another kind.
    """
    path, part, found = locate(field, source, part)
    if found == "run":
        network = _of_run(field, path, part)
    else:
        network = _of_file(field, path, part, kind, told or {})
    if not isinstance(network.module, kind):
        raise ValueError(
            f"{field}={source!r} is a {class_name(network.module)}, but a "
            f"{kind.__module__}:{kind.__qualname__} is needed"
        )
    return network


def exists(source: str) -> bool:
    """Whether a source other than "random" names a run or a file."""
    with contextlib.suppress(FileNotFoundError):
        return bool(locate("", source, ""))
    return False


def locate(field: str, source: str, part: str) -> tuple[str, str, str]:
    """(path, part, "run" or "file") of a source; `NoSource` where it is neither. A folder in
    the place of a package's name is the folder.
    """
    head, _, tail = source.rpartition(":")
    ways = [(source, part)] if tail.startswith("//") else [(source, part), (head, tail)]
    for path, chosen in ways:
        if runs.is_run(path):
            return path, chosen, "run"
        if path and _holds_something(paths.path(path)):
            return path, chosen, "file"
    if source in packages.PACKAGES:
        return str(packages.folder(source)), part, "file"
    raise NoSource(
        f"{field}={source!r} is neither a run directory (RUN or RUN:part) nor a weights file, nor "
        f"the name of a package ({', '.join(packages.PACKAGES)})"
    )


def _holds_something(path: paths.Path) -> bool:
    # A run that was moved may have left an empty folder.
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _of_run(field: str, path: str, part: str) -> Network:
    if exported.is_export(path):
        exported.check(path)
    config = runs.read_config(path)
    cls = recipe_module(config.system).Recipe
    parts = [*cls.networks, *([TEXT_ENCODER] if config.encoder.name else [])]
    if part not in parts:
        raise ValueError(
            f"{field}={path!r}: that run trained {config.system!r} and has no part "
            f"{part!r}{suggest(part, parts)}; name one as RUN:part"
        )
    recipe = make_recipe(config, kept_modules(path, config))
    text = config.tokenizer.name and (part == TEXT_ENCODER or recipe.reads == "tokens")
    there = text and runs.has_tokenizer(path)
    tokenizer = runs.read_tokenizer(path) if there else None
    if part == TEXT_ENCODER and config.encoder.train == "frozen":
        return dataclasses.replace(load(path, TEXT_ENCODER), tokenizer=tokenizer)
    _, ema = runs.load_ema(path, runs.best_step(path))
    if part == TEXT_ENCODER:
        return Network(joint_encoder(config), {"params": ema["params"]["encoder"]}, tokenizer)
    variables = variables_at(cls.networks[part], ema)
    if "params" not in variables:
        raise ValueError(f"{field}={path!r}: that run of {config.system!r} trained no {part!r}")
    return Network(getattr(recipe, part), variables, tokenizer)


def variables_at(place: Sequence[str], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a part of a recipe, from ``{"params": by player, "stats": by player}``; no
    "params" among them where there are none.

    place: as `Recipe.networks` has it: the player, and names inside its variables.
    """
    player, *inside = place
    of_player = {"params": kept["params"].get(player), **kept["stats"].get(player, {})}
    variables = {}
    for collection, tree in of_player.items():
        for name in inside:
            tree = (tree or {}).get(name)
        if tree is not None:
            variables[collection] = tree
    return variables


def _of_file(
    field: str, path: str, part: str, kind: type[nn.Module], told: Mapping[str, Any]
) -> Network:
    if path.endswith(".safetensors"):
        return _read(paths.path(path))
    # A field that takes any module is named after those that it usually has: frozen.damsm.
    name = field if kind is nn.Module else kind.__module__
    fields = {f"{part}.{name}": value for name, value in told.items()}
    return published(field, path, part, name.rpartition(".")[2], fields)


def published(
    field: str,
    path: str,
    part: str,
    name: str,
    assignments: Sequence[str] | Mapping[str, Any] = (),
) -> Network:
    """The network in published weights, as ``t2i_jax.interop.<name>`` reads them.

    assignments: of a config's fields, of which the reader takes what it asks for of `part`:
    ``["generator.affines=6"]``.

    Raises ValueError where there is no reader of `part`, or the file holds something else.
    """
    room = f"t2i_jax.interop.{name}"
    try:
        readers = importlib.import_module(room).PARTS
    except (ModuleNotFoundError, AttributeError):
        readers = {}
    if part not in readers:
        known = f"{room} reads {sorted(readers)}" if readers else f"there is no reader in {room}"
        raise ValueError(
            f"{field}={path!r}: no published files are known for {part!r} of {name!r} ({known})"
        )
    asked = inspect.signature(readers[part]).parameters.values()
    told = ConfigDict({part: {p.name: p.default for p in asked if p.default is not p.empty}})
    given = configs.parse_overrides(assignments)
    configs.override(told, {k: v for k, v in given.items() if k in configs.flatten(told)})
    try:
        return Network(*readers[part](path, **told[part]))
    except IsADirectoryError:
        raise NoSource(
            f"{field}={path!r} is a folder, but no run directory (it has no config.json), and "
            f"published weights that {room} reads are a file"
        ) from None
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def joint_encoder(config) -> nn.Module:
    """The text encoder that a run trains with its generator, as its config describes it."""
    cls = encoder_class(config.encoder.name)
    return construct(cls, config.encoder.fields, "encoder.fields", config.dtype)


def path_of(workdir: str | os.PathLike, name: str) -> paths.Path:
    """Where a run keeps a network that it does not train."""
    return paths.path(workdir) / "frozen" / f"{name}.safetensors"


def save(workdir: str | os.PathLike, name: str, network: Network) -> None:
    """Keeps a network in a run, with a digest of its weights and a description of its module.

    Raises ValueError for a module with fields that JSON does not have.
    """
    path = path_of(workdir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = fields_of(network.module)
    try:
        described = json.dumps(fields)
    except TypeError as error:
        raise ValueError(f"{class_name(network.module)} cannot be kept in a run: {error}") from None
    metadata = {"module": class_name(network.module), "fields": described}
    weights.save(path, network.variables, metadata)


def load(workdir: str | os.PathLike, name: str) -> Network:
    """A network that a run has kept; FileNotFoundError where it kept none of that name."""
    return _read(path_of(workdir, name))


def kept_digests(workdir: str | os.PathLike) -> dict[str, str]:
    """`weights.digest` of what a run has kept, by name: of the networks that it was trained with,
    or started from, and did not train. The arrays are not read.
    """
    files = path_of(workdir, "*")
    found = sorted(files.parent.glob(files.name)) if files.parent.is_dir() else []
    return {path.stem: weights.stored_digest(path) for path in found}


def load_variables(workdir: str | os.PathLike, name: str) -> Any:
    """The weights alone, whatever module they are of; raises as `load`."""
    variables, _ = weights.load(path_of(workdir, name))
    return variables


def _read(path: paths.Path) -> Network:
    variables, metadata = weights.load(path)
    module = _described(path, metadata)
    if module is None:
        raise ValueError(
            f"{path}: it does not say which network it holds; it was kept by an older version, "
            "whose runs can be named themselves as the source"
        )
    return Network(module, variables)


def _described(path: paths.Path, metadata: dict[str, str]) -> nn.Module | None:
    if "module" not in metadata:
        return None
    cls = named_class(metadata["module"], f"{path}: module")
    return construct(cls, configs.from_json(metadata["fields"]), str(path))


def kept_modules(workdir: str | os.PathLike, config) -> dict[str, nn.Module | None]:
    """The modules, without weights, of a run's other frozen networks by the recipe's field, but for
    those that a section of the config describes; None where the run keeps no description.
    """
    modules: dict[str, nn.Module | None] = {}
    for name in config.frozen:
        if name not in config:
            path = path_of(workdir, name)
            there = paths.exists(path)
            modules[name] = _described(path, weights.metadata(path)) if there else None
    return modules


def digest(network: Network) -> str:
    """Of what the network computes: its class, its fields and its weights."""
    named = {"module": class_name(network.module), "fields": repr(fields_of(network.module))}
    packed = {k: np.frombuffer(v.encode(), np.uint8) for k, v in named.items()}
    return weights.digest({"variables": network.variables, **packed})


def frozen_kind(recipe: type, name: str) -> tuple[str, type[nn.Module]]:
    """(the usual part, the kind) of a recipe's frozen network; ValueError for an unknown one."""
    if name not in recipe.frozen_parts:
        known = recipe.frozen_parts
        raise ValueError(
            f"frozen.{name}: {recipe.__module__} takes no network of that name"
            f"{suggest(name, known) if known else '; it takes none'}"
        )
    return recipe.frozen_parts[name], module_hints(recipe)[name]
