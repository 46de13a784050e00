"""From names and sections of a config to recipes and networks.

A name is a file of this package (``system=stack_gan_v2`` is ``t2i_jax/recipes/stack_gan_v2.py``) or
the dotted name of a module of the user's own (``system=mylab.my_gan``).
"""

import dataclasses
import importlib
import pathlib
import typing
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from t2i_jax.config import suggest
from t2i_jax.recipes.base import Recipe

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
MODULE = "module"  # the key of a section that says which class its fields are of

# Fields of networks that are sides or widths, as are all that end in "_dim".
_SIZES = ("image_size", "base_size", "scales", "channels", "width", "embedding")
_MAY_BE_0 = ("condition_dim", "text_dim")  # where 0 stands for none

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def recipe_module(system: str) -> ModuleType:
    """The module whose `Recipe` is the system; see `find`."""
    return find("recipes", system, "system", "Recipe")


def encoder_class(name: str) -> type[nn.Module]:
    """The text encoder of that name; see `find`."""
    return find("encoders", name, "encoder.name", "TextEncoder").TextEncoder


def find(room: str, name: str, field: str, member: str) -> ModuleType:
    """The module ``t2i_jax.<room>.<name>``, or the module `name` itself where that is dotted.

    field: of the config, for messages. member: what the module must have. Raises ValueError, with a
    suggestion, where there is no such module or it lacks the member.
    """
    full = name if "." in name else f"t2i_jax.{room}.{name}"
    if "." not in name:
        files = sorted((_PACKAGE / room).glob("*.py"))
        known = [p.stem for p in files if f"class {member}(" in p.read_text(encoding="utf-8")]
        if name not in known:
            raise ValueError(
                f"{field}={name!r} is no file of t2i_jax/{room}{suggest(name, known)}; a module of "
                "your own needs a dotted name, such as mylab.my_gan"
            )
    module = _import(full, field)
    if not hasattr(module, member):
        raise ValueError(f"{field}={name!r}: the module {full} defines no {member}")
    return module


def _import(name: str, field: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not
        raise ValueError(
            f"{field}: there is no module {name!r}: it must lie in the current folder or in one of "
            "PYTHONPATH"
        ) from error


def class_name(module: nn.Module) -> str:
    """The class of a module as `named_class` reads it: ``"package.file:Class"``."""
    return f"{type(module).__module__}:{type(module).__qualname__}"


def named_class(name: str, field: str) -> type[nn.Module]:
    """The module class ``"package.file:Class"``; ValueError where there is none."""
    file, _, member = name.partition(":")
    found = getattr(_import(file, field), member, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{field}={name!r} is no linen module; write package.file:Class")
    return found


def make_recipe(config: ConfigDict, modules: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe with its modules. A field that is a module takes the config section of its name;
    `modules` gives those that come from elsewhere. All others are switches in ``config.recipe``.
    """
    modules = dict(modules or {})
    cls = recipe_module(config.system).Recipe
    for name, hint in module_hints(cls).items():
        if name in modules:
            continue
        if name in config:
            modules[name] = construct(hint, config[name], name, config.dtype)
        elif _default(cls, name) is dataclasses.MISSING:
            raise ValueError(
                f"system {config.system!r} needs the network {name!r}: give the config a section "
                f"{name!r}, or name a run in frozen.{name}"
            )
    active = frozenset(loss_weights(config))
    fields = {**config.recipe.to_dict(), "active": active, **modules}
    check_fields(cls, fields, "recipe")
    return cls(**fields)


def module_hints(cls: type[Recipe]) -> dict[str, type[nn.Module]]:
    """The recipe's fields that are networks, with the class that their annotation names: ``Net``,
    or ``Net | None`` for one that not every config has.
    """
    hints, found = typing.get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
        if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], nn.Module):
            found[field.name] = kinds[0]
    return found


def _default(cls: type, name: str) -> Any:
    return next(f.default for f in dataclasses.fields(cls) if f.name == name)


def construct(
    cls: type[nn.Module], section: Mapping[str, Any], name: str, dtype: str = "float32"
) -> nn.Module:
    """A module from a config section of its fields, in the compute dtype.

    The key ``module`` of a section names another class than `cls`; it must where `cls` is any
    module. Raises ValueError for unknown fields and for impossible sizes.
    """
    fields = {k: _plain(v) for k, v in dict(section).items()}
    if MODULE in fields:
        cls = named_class(fields.pop(MODULE), f"{name}.{MODULE}")
    elif cls is nn.Module:
        raise ValueError(f"the section {name!r} needs {MODULE}='package.file:Class'")
    check_fields(cls, fields, name)
    _check_sizes(cls, fields, name)
    if "dtype" in {f.name for f in dataclasses.fields(cls)}:
        fields["dtype"] = DTYPES[dtype]
    return cls(**fields)


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return value.to_dict()
    return tuple(value) if isinstance(value, list) else value


def fields_of(module: nn.Module) -> dict[str, Any]:
    """A module's fields as a config section describes them."""
    skipped = ("parent", "name", "dtype", "axis_name")
    names = [f.name for f in dataclasses.fields(module) if f.name not in skipped]
    return {name: getattr(module, name) for name in names}


def check_fields(cls: type, fields: Mapping[str, Any], section: str) -> None:
    """Raises ValueError, with a suggestion, for a field that the dataclass does not have."""
    known = {f.name for f in dataclasses.fields(cls)}
    if issubclass(cls, nn.Module):
        known -= {"parent", "name", "axis_name"}
    for name in fields:
        if name not in known:
            kind = f"{cls.__module__}.{cls.__name__}"
            raise ValueError(f"{kind} has no field {section}.{name}{suggest(name, known)}")


def _check_sizes(cls: type[nn.Module], fields: Mapping[str, Any], section: str) -> None:
    """Raises ValueError for a side or width below 1, or below 0 where 0 stands for none."""
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    for name, value in fields.items():
        if not isinstance(value, int) or not (name in _SIZES or name.endswith("_dim")):
            continue
        least = 0 if name in _MAY_BE_0 or defaults[name] == 0 else 1
        if value < least:
            raise ValueError(f"{section}.{name}={value}: must be at least {least}")


def loss_weights(config: ConfigDict) -> dict[str, float]:
    """The weights that are not 0, by ``"<player>.<term>"``."""
    return {
        f"{player}.{term}": float(weight)
        for player, terms in config.loss.items()
        for term, weight in terms.items()
        if weight
    }
