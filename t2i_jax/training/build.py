"""From a config to the objects it describes: recipe, encoder, tokenizer, frozen networks.

The only place where a ConfigDict meets typed dataclasses.
"""

import dataclasses
import importlib
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from t2i_jax.config import suggest
from t2i_jax.data import tokenizers
from t2i_jax.data.pipeline import DataOptions
from t2i_jax.recipes.base import Recipe
from t2i_jax.training import frozen_nets, runs
from t2i_jax.training.optimizers import make_direction, make_schedule
from t2i_jax.training.step import StepOptions

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass
class System:
    """Everything that a config describes, built.

    frozen: variables of the networks that are not trained, by name; ``"encoder"`` among them, or
        ``"encoder_start"`` where a joint training starts from trained weights.
    """

    config: ConfigDict
    recipe: Recipe
    encoder: nn.Module | None
    tokenizer: tokenizers.Tokenizer | None
    frozen: dict[str, Any]

    @property
    def joint(self) -> bool:
        """Whether the text encoder is trained with the generator."""
        return self.encoder is not None and self.config.encoder.train == "joint"


def build(config: ConfigDict) -> System:
    """Builds what the config describes; resolves ``encoder.fields`` of a sourced encoder, and the
    sections of frozen networks that have one, in place.

    Raises ValueError for unknown systems, fields and values, FileNotFoundError for missing sources.
    """
    if config.dtype not in DTYPES:
        raise ValueError(f"dtype={config.dtype!r}{suggest(config.dtype, DTYPES)}")
    frozen: dict[str, Any] = {}
    modules: dict[str, nn.Module] = {}
    for name, source in config.frozen.items():
        if source == "random" and name in config:  # untrained, as its section describes it
            continue
        modules[name], frozen[name] = frozen_network(name, source)
        if name in config:  # a network that samples need too: its section describes it later
            config[name] = frozen_nets.fields_of(modules[name])
            modules[name] = construct(type(modules[name]), config[name], name, config.dtype)
    encoder, tokenizer = None, None
    if config.encoder.name:
        encoder, tokenizer, variables = text_encoder(config)
        if variables is not None:
            frozen["encoder_start" if config.encoder.train == "joint" else "encoder"] = variables
    elif config.tokenizer.name:
        tokenizer = make_tokenizer(config)
    return System(config, make_recipe(config, modules), encoder, tokenizer, frozen)


def recipe_module(system: str):
    """The module ``t2i_jax.recipes.<system>``; ValueError with a suggestion where there is none."""
    return _named_module("recipes", system, "system")


def _named_module(room: str, name: str, field: str):
    folder = pathlib.Path(__file__).resolve().parent.parent / room
    known = [p.stem for p in folder.glob("*.py") if p.stem not in ("__init__", "base")]
    if name not in known:
        raise ValueError(f"{field}={name!r} is no file of t2i_jax/{room}{suggest(name, known)}")
    return importlib.import_module(f"t2i_jax.{room}.{name}")


def make_recipe(config: ConfigDict, modules: Mapping[str, nn.Module] | None = None) -> Recipe:
    """The recipe with its modules. A field that is a module takes the config section of its name;
    `modules` gives those that come from elsewhere. All others are switches in ``config.recipe``.
    """
    modules = dict(modules or {})
    cls = recipe_module(config.system).Recipe
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints.get(field.name)
        is_module = isinstance(hint, type) and issubclass(hint, nn.Module)
        if not is_module or field.name in modules:
            continue
        if field.name not in config:
            if field.default is not dataclasses.MISSING:
                continue
            raise ValueError(
                f"system {config.system!r} needs the network {field.name!r}: give the config a "
                f"section {field.name!r}, or name a run in frozen.{field.name}"
            )
        modules[field.name] = construct(hint, config[field.name], field.name, config.dtype)
    active = frozenset(loss_weights(config))
    fields = {**config.recipe.to_dict(), "active": active, **modules}
    _check_fields(cls, fields, "recipe")
    return cls(**fields)


def construct(
    cls: type, section: Mapping[str, Any], name: str, dtype: str = "float32"
) -> nn.Module:
    """A module from a config section of its fields, in the compute dtype."""
    fields = {k: _plain(v) for k, v in dict(section).items()}
    _check_fields(cls, fields, name)
    if "dtype" in {f.name for f in dataclasses.fields(cls)}:
        fields["dtype"] = DTYPES[dtype]
    return cls(**fields)


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return value.to_dict()
    return tuple(value) if isinstance(value, list) else value


def _check_fields(cls: type, fields: Mapping[str, Any], section: str) -> None:
    known = {f.name for f in dataclasses.fields(cls)}
    if issubclass(cls, nn.Module):
        known -= {"parent", "name", "axis_name"}
    for name in fields:
        if name not in known:
            kind = f"{cls.__module__}.{cls.__name__}"
            raise ValueError(f"{kind} has no field {section}.{name}{suggest(name, known)}")


def loss_weights(config: ConfigDict) -> dict[str, float]:
    """The weights that are not 0, by ``"<player>.<term>"``."""
    return {
        f"{player}.{term}": float(weight)
        for player, terms in config.loss.items()
        for term, weight in terms.items()
        if weight
    }


def frozen_network(name: str, source: str) -> tuple[nn.Module, Any]:
    """A network of another run, as that run would sample from it: (module, variables).

    Raises FileNotFoundError where `source` is no run, ValueError where it has no such network.
    """
    config, ema = runs.load_ema(source)
    recipe = make_recipe(config)
    role = {"stage1": "generator"}.get(name, name)
    player = {"generator": "g", "discriminator": "d"}.get(role, "net")
    module = getattr(recipe, role, None)
    if module is None or player not in ema["params"]:
        raise ValueError(
            f"frozen.{name}={source!r}: that run trained {config.system!r} and has no {name!r}"
        )
    return module, {"params": ema["params"][player], **ema["stats"].get(player, {})}


def text_encoder(config: ConfigDict):
    """(module, tokenizer, variables or None) of ``config.encoder``."""
    section = config.encoder
    if section.train not in ("frozen", "joint"):
        raise ValueError(f"encoder.train={section.train!r}; known: 'frozen', 'joint'")
    cls = _named_module("encoders", section.name, "encoder.name").TextEncoder
    source, variables, tokenizer = section.source, None, None
    if runs.is_run(source):
        run_config, ema = runs.load_ema(source)
        if "text" not in run_config:
            raise ValueError(f"encoder.source={source!r} is a run of {run_config.system!r}")
        section.fields = run_config.text
        variables = {"params": ema["params"]["net"]["text"]}
        tokenizer = tokenizers.from_json(runs.read_tokenizer(source))
    elif source not in ("", "random"):
        fields, variables = frozen_nets.load_encoder(section.name, source)
        section.fields = ConfigDict(fields)
    elif source == "" and section.train == "frozen":
        raise ValueError(
            "encoder.source is empty: a frozen encoder needs the directory of an encoder's run, "
            "a weights file, or 'random' for an untrained one"
        )
    module = construct(cls, section.fields, "encoder.fields", config.dtype)
    tokenizer = tokenizer or make_tokenizer(config)
    if source == "random" and section.train == "frozen":
        variables = frozen_nets.random_encoder(module, tokenizer.length, config.seed)
    return module, tokenizer, variables


def make_tokenizer(config: ConfigDict) -> tokenizers.Tokenizer:
    """The tokenizer of ``config.tokenizer``."""
    fields = config.tokenizer.to_dict()
    return tokenizers.from_config(fields.pop("name"), **fields)


def data_options(config: ConfigDict) -> DataOptions:
    """``config.data`` as typed options."""
    fields = {k: _plain(v) for k, v in config.data.items()}
    fields.setdefault("seed", config.seed)
    _check_fields(DataOptions, fields, "data")
    return DataOptions(**fields)


def step_options(system: System, batch: int, records: int) -> StepOptions:
    """What the step needs, for global batches of `batch` images from `records`."""
    config, recipe = system.config, system.recipe
    wanted = {player for player in config.optim}
    if wanted != set(recipe.players):
        raise ValueError(
            f"optim has the sections {sorted(wanted)}, but {config.system!r} trains the players "
            f"{sorted(recipe.players)}"
        )
    if config.order not in ("alternating", "simultaneous"):
        raise ValueError(f"order={config.order!r}; known: 'alternating', 'simultaneous'")
    images = batch * config.d_steps
    decay, restart = ema_decay(config, images, records), config.ema.restart_every
    if restart < 0:
        raise ValueError(f"ema.restart_every={restart}: must be a number of steps, 0 for never")
    if restart and not decay:
        raise ValueError(
            f"ema.restart_every={restart} needs an average to go on from: set ema.decay or "
            "ema.half_life"
        )
    if restart and "g" not in recipe.players:
        raise ValueError(
            f"ema.restart_every={restart} is for generators, but {config.system!r} trains none"
        )
    return StepOptions(
        weights=loss_weights(config),
        directions={p: make_direction(config.optim[p]) for p in recipe.players},
        schedules={p: make_schedule(config.optim[p], images, records) for p in recipe.players},
        encoder=system.encoder,
        joint=system.joint,
        order=config.order,
        d_steps=config.d_steps,
        ema_decay=decay,
        ema_restart=restart,
        seed=config.seed,
    )


def ema_decay(config: ConfigDict, images_per_step: int, records: int) -> float:
    """Per-step decay of the average; 0 without one. ValueError where both forms are given."""
    from t2i_jax.config import Duration

    half_life, decay = config.ema.half_life, config.ema.decay
    if half_life and decay:
        raise ValueError("give ema.half_life or ema.decay, not both")
    if not half_life:
        return float(decay)
    steps = Duration.parse(half_life).steps(images_per_step, records)
    return 0.5 ** (1.0 / max(steps, 1))
