"""Types of the values that a config file gives, which Python does not check."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

# What a value may be where the default is of that type; True is no number.
_TYPES: Mapping[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str, int),  # a bare number is a duration in steps
    tuple: (tuple, list),
}


def check(values: Mapping[str, Any], defaults: Mapping[str, Any], section: str) -> None:
    """Raises ValueError, with the field's name, for a value of another type than the default's.

    Fields without a default, or with None, may be anything; sections have checks of their own.
    """
    for name, default in defaults.items():
        kinds = _TYPES.get(type(default))
        value = values.get(name)
        if kinds is None or value is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            field = f"{section}.{name}" if section else name
            shown = value.to_dict() if isinstance(value, ConfigDict) else value
            raise ValueError(
                f"{field}={shown!r}: must be a {kinds[0].__name__}, as {default!r}, not a "
                f"{type(value).__name__}"
            )
