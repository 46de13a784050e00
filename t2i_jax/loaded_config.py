"""Configs as Python programs have them: loaded from files, changed by assignment."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths


class Config(ConfigDict):
    """A config whose fields can be set and none be added, but for entries of ``frozen`` and of an
    optimizer's ``groups`` and ``clip``. It remembers which fields its user has set, as a training
    asks for those of the tokenizer (`t2i_jax.training.build.build`).
    """

    def __init__(self, fields: Mapping | None = None, given: Sequence[str] = (), **options: Any):
        super().__init__(fields, **options)
        self._remember(frozenset(given), configs.flatten(self))

    def _remember(self, given: frozenset[str], loaded: dict[str, Any]) -> None:
        object.__setattr__(self, "_given", given)  # beside the fields
        object.__setattr__(self, "_loaded", loaded)

    def set_by_user(self) -> frozenset[str]:
        """Names of the fields that were overridden when it was loaded, or changed since."""
        now = configs.flatten(self)
        return self._given | {k for k, v in self._loaded.items() if k in now and now[k] != v}

    def copy_and_resolve_references(self, visit_map: dict | None = None) -> "Config":
        """A copy, as that of a ConfigDict."""
        copied = super().copy_and_resolve_references(visit_map)
        copied._remember(self._given, self._loaded)
        return copied

    def __setstate__(self, state: dict) -> None:  # of copy.deepcopy and pickle
        super().__setstate__(state)
        self._remember(state["_given"], state["_loaded"])


def load_config(
    spec: paths.Named, overrides: ConfigDict | Mapping[str, Any] | None = None, /, **fields: Any
) -> Config:
    """The config of a file, with every field that it has and its value.

    spec: ``"FILE.py"`` or ``"FILE.py:argument"``.
    overrides: values by dotted name, ``{"optim.g.lr": 1e-4}``, or nested in sections. Paths may be
        pathlib's, numbers NumPy's.
    fields: the same by keyword: ``seed=1, train={"duration": "20 steps"}``.

    Warns of what an override has changed besides. Raises FileNotFoundError for a missing file,
    ValueError for an unknown field or a value of another type, TypeError for what is no config file
    or no overrides.
    """
    from t2i_jax.training import fields as of_configs

    spec = paths.text("the config", spec)
    overrides = {} if overrides is None else overrides
    if not isinstance(overrides, ConfigDict | Mapping):
        raise TypeError(f"overrides={overrides!r}: a dict is needed, as in {{'optim.g.lr': 1e-4}}")
    given = configs.flatten(_plain(overrides)) | configs.flatten(_plain(fields))
    resolved = of_configs.resolve(spec, given)
    for note in resolved.notes:
        warnings.warn(note, stacklevel=2)
    config = Config(resolved.config, tuple(given)).lock()
    _unlock_free(config)
    return config


def _unlock_free(config: ConfigDict) -> None:
    config.frozen.unlock()
    for section in config.optim.values():
        section.groups.unlock()
        section.clip.unlock()


def own_copy(config: Any) -> tuple[ConfigDict, frozenset[str]]:
    """(a copy of what the user gave as a config, names of the fields that the user has set)."""
    from t2i_jax.training import fields, modules

    if isinstance(config, paths.Named):
        config = load_config(config)
    if not isinstance(config, ConfigDict | Mapping):
        raise TypeError(
            f"the config is {config!r}: one of t2i_jax.load_config is needed, its spec, as in "
            "'gan_int_cls:cub', or a dict"
        )
    given = config.set_by_user() if isinstance(config, Config) else frozenset()
    copied, base = configs.from_dict(_plain(config)), configs.base()
    if not isinstance(copied.get("system"), str):
        raise ValueError("the config has no 'system': begin with t2i_jax.load_config")
    networks = modules.module_hints(modules.recipe_module(copied.system).Recipe)
    for name in {*networks, *(k for k, v in base.items() if isinstance(v, ConfigDict))}:
        if not isinstance(section := copied.get(name, {}), Mapping | ConfigDict):
            raise ValueError(f"{name}={section!r}: a section is needed, a dict of its fields")
    for name, source in copied.get("frozen", {}).items():
        if not isinstance(source, str):
            raise ValueError(f"frozen.{name}={source!r}: a run or a file is needed, as text")
    _known("the config", copied, {*base, *networks, *copied.get("frozen", {})})
    for name in ("ema", "encoder", "train", "evals", "log"):
        _known(name, copied.get(name, {}), base[name])
    return fields.complete(copied), given


def _plain(value: Any) -> Any:
    """Values as configs hold them: sections as dicts, paths as text, numbers as Python's."""
    if isinstance(value, ConfigDict | Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{name!r} is no name of a field: a text is needed")
        return {name: _plain(value[name]) for name in value}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if isinstance(value, np.generic) else value


def _known(where: str, section: Mapping[str, Any], known: Any) -> None:
    for name in section:
        if name not in known:
            raise ValueError(f"{where} has an unknown field {name!r}{configs.suggest(name, known)}")
