"""Configs: files with ``get_config(arg)``, overrides by dotted name, and JSON.

A config is an `ml_collections.ConfigDict`. Nothing below the training floor sees one: modules,
losses and recipes take typed dataclass fields.
"""

import ast
import difflib
import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from t2i_jax import config_files, paths
from t2i_jax.duration import Duration as Duration

CONFIG = "get_config"  # the function of a config file
# What a field takes, in words.
_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    tuple: "a tuple",
}
_CONSTANTS = {"true": "True", "false": "False", "none": "None"}

# Sections to which an override may add entries, and a value of the type that these have.
_FREE = {"frozen": "", "optim.*.groups": 1.0, "optim.*.clip": 1.0}


def base() -> ConfigDict:
    """The fields that every config has, with defaults that hold for most. Times are durations.

    The sections ``data``, ``tokenizer``, ``encoder.fields``, ``recipe`` and those of the networks
    have more fields: all that the classes take which they describe
    (`t2i_jax.training.fields.complete`).
    """
    return ConfigDict(
        {
            "system": "",  # the file in t2i_jax/recipes
            "seed": 0,
            "dtype": "float32",  # compute dtype: float32 | bfloat16; parameters are always float32
            "parallel": "jit",  # jit (global view over a mesh) | pmap (one program a device)
            "fsdp": 1,  # devices that share one copy of the parameters (jit only)
            "recipe": {},  # switches of the recipe
            "loss": {},  # weights by player and term; 0 = the term is not computed
            "optim": {},  # by player, see `optimizer`
            "order": "alternating",  # alternating (G sees the updated D) | simultaneous
            "d_steps": 1,  # D updates per G update, each on a batch of its own
            # What of G's pass its gradient computes anew, to hold less: none | elementwise | all
            "remat": "elementwise",
            "ema": {
                "half_life": "",  # this one or
                "decay": 0.0,  # this one, per step; neither: the plain weights
                "restart_every": 0,  # steps after which G goes on from its average; 0 = never
                "ramp": 0.0,  # half-life at most this share of the images seen (StyleGAN); 0 = off
                "statistics": "averaged",  # averaged (as the weights are) | live (the latest)
            },
            "data": {
                "name": "toy_birds",
                "data_dir": "data",
                "split": "train",
                "size": 64,
                "batch": 64,
                "captions": 1,
            },
            "encoder": {
                "name": "",  # the file in t2i_jax/encoders; "" = none
                "source": "",  # a run directory, a .t7 or .safetensors file, or "random"
                "train": "frozen",  # frozen | joint
                "cache": True,  # encode every caption once beforehand, where that changes nothing
                "fields": {},  # fields of the encoder; taken from `source` where that is a run
            },
            "tokenizer": {"name": "char"},
            "frozen": {},  # networks of other runs by name: {"generator": "runs/birds"}
            "train": {
                "duration": "1000 steps",
                "log_every": "50 steps",
                "sample_every": "500 steps",
                "checkpoint_every": "1000 steps",
                "keep": 2,
                "samples": 32,
                "accept_data": "",  # go on with other data: the digest that a refusal names
                "compilation_cache": True,  # keep compiled programs beside the run, for later ones
                "raw_grids": False,  # grids also show G as it is, beside its average
            },
            "evals": {
                # Evaluations at every checkpoint: "retrieval", "toy_attributes", or a protocol of
                # numbers, "fid2k" (docs/evaluation.md).
                "names": (),
                "records": 500,  # held-out images or captions of those whose name has no number
                "best": "",  # which value chooses the best checkpoint: "retrieval/recall_at_1"
                "best_mode": "max",  # max | min: which of its values is best
                "features": "",  # the network of images of protocols that name none
                "encoder": "",  # the encoders of protocols that compare images with captions
                "classifier": "",  # the run that reads the images of toy_attributes
            },
            "log": {"tensorboard": False, "wandb": ""},
        }
    )


def optimizer(name: str, lr: float, **fields: Any) -> dict:
    """A section of ``optim``: an optimizer with its own `fields`, and at rest all that the train
    step can do to the gradients and the rate of any optimizer.
    """
    at_rest = {
        "schedule": "constant",
        "lr_floor": 0.0,  # the rate never falls below
        "clip_norm": 0.0,  # global norm of the player's gradients; 0 = not clipped
        "clip": {},  # the same for parts of the player: {pattern of parameter paths: norm}
        "groups": {},  # factors of the rate: {pattern of parameter paths: factor}
        "reset_every": "",  # a duration after which the moments start anew; "" = never
    }
    return {"name": name, "lr": lr, **at_rest, **fields}


def adam(lr: float, b1: float = 0.5, b2: float = 0.999, **fields: Any) -> dict:
    """An `optimizer` section with Adam."""
    return {**optimizer("adam", lr, b1=b1, b2=b2, eps=1e-8), **fields}


def load(spec: str) -> ConfigDict:
    """Loads ``"path/to/file.py"``, or by its name a config that comes with the package,
    ``"gan_int_cls"``; each with its argument, ``"gan_int_cls:cub"``.

    Raises FileNotFoundError for a missing file and ValueError, with file and line, where it raises
    anything, has no ``get_config``, or that returns no config with the fields of `base`.
    """
    config, path = call(spec, CONFIG), locate(spec, CONFIG)[0]
    if not isinstance(config, ConfigDict):
        raise ValueError(
            f"the get_config() of {path} returns {type(config).__name__}; a ConfigDict is needed, "
            "made by t2i_jax.config.base()"
        )
    for name, default in base().items():
        if name in config and isinstance(config[name], ConfigDict) == isinstance(
            default, ConfigDict
        ):
            continue
        what = "has no" if name not in config else f"sets to {config[name]!r} the"
        kind = "section" if isinstance(default, ConfigDict) else "field"
        raise ValueError(f"{path} {what} {kind} {name!r}: begin with t2i_jax.config.base()")
    return config


def arguments(spec: str, function: str = CONFIG) -> tuple[str, ...]:
    """The ``ARGUMENTS`` of a file: with which its function is called; () where it has none."""
    path, _ = locate(spec, function)
    return tuple(getattr(config_files.module(path), "ARGUMENTS", ()))


def call(spec: str, function: str) -> Any:
    """What a function of ``"path/to/file.py"`` returns: ``function()``, or ``function(arg)`` for
    ``"path/to/file.py:arg"``. Of a generator, the list. Files and errors as in `load`.
    """
    path, arg = locate(spec, function)
    found = config_files.call(path, config_files.module(path), function, arg)
    if not isinstance(found, Iterator):
        return found
    with config_files.errors_of(path):  # a generator runs here
        return list(found)


def locate(spec: str, function: str) -> tuple[str, str]:
    """(path, argument) of the spec of a file with this function; FileNotFoundError without one."""
    paths.local(spec, "config files")
    name, _, arg = spec.partition(":")
    return config_files.locate(name, _folder(function)), arg


def _folder(function: str) -> str:
    return "" if function == CONFIG else config_files.GRIDS


def suggest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest known name, else a list of the known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def override(
    config: ConfigDict, assignments: Sequence[str] | Mapping[str, Any], also: Iterable[str] = ()
) -> ConfigDict:
    """Sets fields in place, from ``["optim.g.lr=1e-4", ...]`` or ``{"optim.g.lr": 1e-4}``; returns
    `config`.

    ``frozen`` and the sections ``groups`` and ``clip`` of optimizers take new entries; `also` names
    other fields that may be added. Raises ValueError for an unknown field (with a suggestion), a
    malformed assignment or a value of another type.
    """
    also = frozenset(also)
    for name, value in parse_overrides(assignments).items():
        parent, _, leaf = name.rpartition(".")
        free = _free(parent)
        if free is None and name not in also:
            _walk(config, name)  # which must be there
        node = _walk(config, parent) if parent else config
        node[leaf] = _fit(name, value, node[leaf] if leaf in node else free)
    return config


def _free(section: str) -> Any:
    """A value such as new entries of that section have; None where it takes none."""
    kinds = (kind for pattern, kind in _FREE.items() if fnmatch.fnmatchcase(section, pattern))
    return next(kinds, None)


def parse_overrides(assignments: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name, the last of each name; ValueError for what is no assignment."""
    if isinstance(assignments, Mapping):
        return dict(assignments)
    return dict(_split_assignment(a) for a in assignments)


def _split_assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ValueError(
            f"cannot read the override {text!r}; write field=value, as in optim.g.lr=1e-4"
        )
    return name.removeprefix("--").removeprefix("config."), value


def _walk(config: ConfigDict, name: str) -> Any:
    """The field or section of a dotted name."""
    node, path = config, name.split(".")
    for depth, part in enumerate(path):
        if not isinstance(node, ConfigDict) or part not in node:
            parent = ".".join(path[:depth])
            known = list(node) if isinstance(node, ConfigDict) else []
            where = f"section {parent!r}" if parent else "the config"
            near = [n for n in flatten(config) if n.endswith(f".{path[-1]}")]
            hint = suggest(part, known) if known else ""
            if near and not difflib.get_close_matches(part, known, n=1):
                hint = f"; did you mean {near[0]!r}?"
            raise ValueError(f"unknown config field {name!r}: {where} has no {part!r}{hint}")
        node = node[part]
    return node


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name; a section without fields is a value itself."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _fit(name: str, value: Any, current: Any) -> Any:
    """The value in the type of the field it replaces."""
    if isinstance(current, ConfigDict):
        raise ValueError(
            f"{name!r} is a section with the fields {sorted(current)}; set one of them"
            + (f", or add one: {name}.NAME=..." if _free(name) is not None else "")
        )
    if isinstance(value, str) and not isinstance(current, str):
        try:
            value = ast.literal_eval(_CONSTANTS.get(value.lower(), value))
        except (ValueError, SyntaxError):
            pass
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(current, tuple) and isinstance(value, list):
        value = tuple(value)
    if current is not None and value is not None and type(value) is not type(current):
        tuples = isinstance(current, tuple)
        kind = _KINDS.get(type(current), f"a {type(current).__name__}")
        hint = "; in quotes: \"('a', 'b')\", one alone \"('a',)\"" if tuples else ""
        raise ValueError(f"{name!r} takes {kind} (now {current!r}), not {value!r}{hint}")
    return value


def to_json(config: ConfigDict) -> str:
    """The resolved config as indented JSON; `from_json` gives the same config back."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True)


def from_json(text: str) -> ConfigDict:
    """The inverse of `to_json`. Tuples come back as tuples where the field was written as one."""
    return from_dict(json.loads(text))


def from_dict(value: Mapping[str, Any]) -> ConfigDict:
    """The config of what `to_json` wrote, parsed."""
    return ConfigDict(_tuples(value))


def _tuples(value: Any) -> Any:
    # JSON has no tuples, and module fields must be hashable: every list of a config is a tuple.
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
