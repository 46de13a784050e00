"""Every field of a config with its value, and where each value comes from.

A config file gives the values that it cares for. The classes that a config describes (the data's
options, the tokenizer, the encoder, the recipe and its networks) have more fields, with defaults:
`complete` writes them into the config, so that every field can be seen and overridden.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax.data import tokenizers
from t2i_jax.data.options import DataOptions
from t2i_jax.recipes import damsm_terms
from t2i_jax.recipes.base import Recipe
from t2i_jax.training import field_types, modules, runs

_REQUIRED = object()  # in the place of a default
TOLD = "command line"  # an origin

# Fields that decide which other fields there are, or what they are by default.
_DECIDING = ("system", "seed", "tokenizer.name", "encoder.name")
# Fields of networks and recipes that others than the config set.
_OF_THE_STEP = {
    nn.Module: {"parent", "name", "dtype", "axis_name"},
    Recipe: {field.name for field in dataclasses.fields(Recipe)},
}
_OF_THE_DATA = "images"  # captions that a tokenizer may build its vocabulary from


@dataclasses.dataclass(frozen=True)
class Resolved:
    """config: every field with its value. origins: in words where each value comes from, by name.

    missing: fields without a default that nobody has given, with the class that needs them.
    notes: what an override has changed besides, in words.
    """

    config: ConfigDict
    origins: dict[str, str]
    missing: dict[str, str]
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises ValueError where a field is missing that no run gives either."""
        if self.missing and (missing := with_runs(self).missing):
            raise ValueError("; ".join(_needed(missing)))


class _Section(NamedTuple):
    """A section of a config and the fields that its `owner` takes, with their defaults."""

    name: str
    values: ConfigDict
    owner: str
    defaults: dict[str, Any]


def resolve(spec: str, assignments: Sequence[str] | Mapping[str, Any] = ()) -> Resolved:
    """Loads a config file (``"FILE.py:arg"``), completes it and applies overrides.

    Raises ValueError for unknown fields, names and values, FileNotFoundError for a missing file.
    """
    config, base = configs.load(spec), configs.flatten(configs.base())
    given = configs.flatten(config)
    overrides = configs.parse_overrides(assignments)
    encoder = config.encoder.name
    _decide(config, {k: v for k, v in overrides.items() if k in _DECIDING})
    notes = ()
    if config.encoder.name != encoder and "frozen.damsm" not in overrides:
        notes = _without_damsm(config)
    complete(config)
    missing = _missing(config)
    configs.override(config, overrides, also=missing)
    origins = {}
    owners = {f"{s.name}.{field}": s.owner for s in _sections(config) for field in s.defaults}
    for name, value in configs.flatten(config).items():
        if name in overrides:
            origins[name] = TOLD
        elif name in given and given[name] == value:
            default = name in base and base[name] == value
            origins[name] = "base default" if default else "config file"
        elif name in given and encoder != config.encoder.name:
            origins[name] = "follows encoder.name"
        else:
            origins[name] = f"default of {owners[name]}" if name in owners else "base default"
    missing = {k: v for k, v in missing.items() if k not in overrides}
    return Resolved(config, origins, missing, notes)


def _without_damsm(config: ConfigDict) -> tuple[str, ...]:
    """Leaves out a config file's DAMSM, whose image encoder compares images with the text encoder
    that another has replaced; says so.
    """
    if "damsm" not in config.frozen:
        return ()
    del config.frozen["damsm"]
    named = ["frozen.damsm"]
    for term in damsm_terms.TERMS:
        if config.loss.get("g", {}).get(term):
            config.loss.g[term] = 0.0
            named.append(f"loss.g.{term}")
    return (
        f"encoder.name={config.encoder.name!r}: the DAMSM of the config file was trained with "
        f"another text encoder and is left out ({', '.join(named)})",
    )


def _decide(config: ConfigDict, names: Mapping[str, Any]) -> None:
    """Applies the overrides that decide which fields there are. What the config file says of
    another tokenizer or encoder than the chosen one goes. The tokenizer follows the encoder, where
    that says which it reads.
    """
    tokenizer, encoder = config.tokenizer.name, config.encoder.name
    configs.override(config, names)
    if config.encoder.name != encoder:
        config.encoder.fields = {}
        if config.encoder.source != "random":  # which holds another encoder
            config.encoder.source = f"runs/{config.encoder.name}" if config.encoder.name else ""
        if config.encoder.name and "tokenizer.name" not in names:
            cls = modules.encoder_class(config.encoder.name)
            config.tokenizer.name = getattr(cls, "tokenizer", config.tokenizer.name)
    if config.tokenizer.name != tokenizer:
        config.tokenizer = {"name": config.tokenizer.name}
        if config.data.get("truncate") == "thin":  # which is for words
            del config.data.truncate


def complete(config: ConfigDict) -> ConfigDict:
    """Writes the default of every field that is missing into a config, in place; returns it.

    Fields without a default stay as the config gives them. Raises ValueError for an unknown system,
    encoder or tokenizer.
    """
    _fill(config, configs.base())
    for player, section in config.optim.items():
        if not isinstance(section, ConfigDict) or not {"name", "lr"} <= set(section):
            raise ValueError(f"optim.{player} has no name and lr: write config.adam(1e-4)")
        _fill(section, ConfigDict(configs.optimizer(section.name, 0.0)), f"optim.{player}")
    for section in _sections(config):
        for field, default in section.defaults.items():
            if field not in section.values and default is not _REQUIRED:
                section.values[field] = default
        field_types.check(section.values, section.defaults, section.name)
    return config


def _fill(config: ConfigDict, defaults: ConfigDict, name: str = "") -> None:
    field_types.check(config, defaults, name)
    for key, default in defaults.items():
        if key not in config:
            config[key] = default
        elif isinstance(default, ConfigDict):
            _fill(config[key], default, f"{name}.{key}" if name else key)


def _missing(config: ConfigDict) -> dict[str, str]:
    return {
        f"{section.name}.{field}": section.owner
        for section in _sections(config)
        for field, default in section.defaults.items()
        if default is _REQUIRED and field not in section.values
    }


def _sections(config: ConfigDict) -> Iterator[_Section]:
    """The sections of a config that describe objects."""
    options = {**_defaults(DataOptions), "seed": config.seed}
    yield _Section("data", config.data, DataOptions.__name__, options)
    if config.tokenizer.name:
        cls = tokenizers.TOKENIZERS.get(config.tokenizer.name)
        if cls is None:
            known = configs.suggest(config.tokenizer.name, tokenizers.TOKENIZERS)
            raise ValueError(f"tokenizer.name={config.tokenizer.name!r}{known}")
        yield _Section("tokenizer", config.tokenizer, cls.__name__, _parameters(cls.from_config))
    if config.encoder.name:
        cls = modules.encoder_class(config.encoder.name)
        yield _Section("encoder.fields", config.encoder.fields, _title(cls), _defaults(cls))
    recipe = modules.recipe_module(config.system).Recipe
    networks = modules.module_hints(recipe)
    for name, cls in networks.items():
        if name not in config:
            continue
        section = config[name]
        if modules.MODULE in section:
            cls = modules.named_class(section[modules.MODULE], f"{name}.{modules.MODULE}")
        if cls is not nn.Module:
            yield _Section(name, section, _title(cls), _defaults(cls))
    switches = {k: v for k, v in _defaults(recipe).items() if k not in networks}
    yield _Section("recipe", config.recipe, _title(recipe), switches)
    for player, terms in recipe.optional_terms.items():
        if player in config.loss:
            weights = dict.fromkeys(terms, 0.0)
            yield _Section(f"loss.{player}", config.loss[player], _title(recipe), weights)


def _title(cls: type) -> str:
    return f"{cls.__module__.removeprefix('t2i_jax.')}.{cls.__name__}"


def _defaults(cls: type) -> dict[str, Any]:
    """The fields of a dataclass that a config can give, with their defaults."""
    found: dict[str, Any] = {}
    set_by_others = {
        x for kind, names in _OF_THE_STEP.items() if issubclass(cls, kind) for x in names
    }
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING:
            default = _REQUIRED
        if field.name not in set_by_others and (default is _REQUIRED or _is_plain(default)):
            found[field.name] = default
    return found


def _parameters(function: Callable) -> dict[str, Any]:
    """The parameters of a tokenizer's `from_config`, likewise."""
    return {
        name: _REQUIRED if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name != _OF_THE_DATA
    }


def _is_plain(value: Any) -> bool:
    """Whether JSON can hold a value."""
    if isinstance(value, Mapping):
        return all(_is_plain(v) for v in value.values())
    if isinstance(value, tuple | list):
        return all(_is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str)


def with_runs(resolved: Resolved) -> Resolved:
    """The same with the values that a training takes over from finished runs: those of its text
    encoder and tokenizer, and of frozen networks that have a section. Reads no weights: where a
    weights file decides, or a run that does not exist yet, the origins say so.
    """
    config = resolved.config.copy_and_resolve_references()
    origins, missing = dict(resolved.origins), dict(resolved.missing)

    def take(section: str, values: Mapping[str, Any] | None, source: str) -> None:
        for name in [name for name in missing if _is_in(name, section)]:
            del missing[name]
        old = [name for name in origins if _is_in(name, section)]
        if values is None:
            origins.update(dict.fromkeys(old, f"{source} will decide"))
            return
        for name in old:
            del origins[name]
        parent, _, leaf = section.rpartition(".")
        (config[parent] if parent else config)[leaf] = ConfigDict(values)
        origins.update(dict.fromkeys(configs.flatten(values, f"{section}."), f"run {source}"))

    source = config.encoder.source
    if config.encoder.name and source not in ("", "random"):
        run, values = _of_run(source, "text")
        take("encoder.fields", values, source)
        if run:
            own = config.tokenizer.items()
            told = {k: v for k, v in own if origins.get(f"tokenizer.{k}") == TOLD}
            state = tokenizers.changed(runs.read_tokenizer(run).to_json(), told)
            names = [k for k in state if k not in tokenizers.VOCABULARY]
            take("tokenizer", {k: state[k] for k in names}, source)
            origins |= {f"tokenizer.{k}": TOLD for k in names if state[k] == told.get(k)}
    parts = modules.recipe_module(config.system).Recipe.frozen_parts
    for name, source in config.frozen.items():
        if name in config and source != "random":
            take(name, _of_run(source, parts.get(name, name))[1], source)
    return Resolved(config, origins, missing, resolved.notes)


def _of_run(source: str, part: str) -> tuple[str, dict[str, Any] | None]:
    """(directory, fields of a network) of a source ``RUN`` or ``RUN:part``; ("", None) for others.
    The fields are None where no section of the run's config describes the network.
    """
    head, _, tail = source.rpartition(":")
    for run, name in ((source, part), (head, tail)):
        if runs.is_run(run):
            config = complete(runs.read_config(run))
            section = config.encoder.fields if name == "encoder" else config.get(name)
            return run, section and section.to_dict()
    return "", None


def _is_in(name: str, section: str) -> bool:
    return name == section or name.startswith(f"{section}.")


def listing(resolved: Resolved) -> str:
    """One line a field, ``name = value  # origin``, by name."""
    lines = [
        (f"{name} = {value.to_dict() if isinstance(value, ConfigDict) else value!r}", name)
        for name, value in configs.flatten(resolved.config).items()
    ]
    width = max(len(text) for text, _ in lines)
    listed = [f"{text:<{min(width, 64)}}  # {resolved.origins[name]}" for text, name in lines]
    return "\n".join(listed + [f"# {line}" for line in _needed(resolved.missing)])


def _needed(missing: Mapping[str, str]) -> list[str]:
    return [f"{name} is not set, but {owner} needs it" for name, owner in missing.items()]
