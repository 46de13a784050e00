"""Values in the lists of data sets, as other programs write them: 1.0 or "1" for 1, NaN for
nothing.
"""

import math
import re
from typing import Any

_WHOLE = re.compile(r"\s*([+-]?\d{1,4000})(?:\.0*)?\s*", re.ASCII)


def is_nothing(value: Any) -> bool:
    """Whether a value stands for a missing one: null, NaN, or text without a character."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def whole_number(value: Any) -> int | None:
    """The whole number that a value means, or None: of 1, 1.0, "1" and "1.0", never of True."""
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value)
        return int(found[1]) if found else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:  # a float, or a number of NumPy's
        return int(value) if value == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def number(value: Any) -> float | None:
    """The finite number that a value means, or None: of 1, 1.5, "1.5", never of True."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole_text(text: str) -> str:
    """A text that can be stored as UTF-8: halves of characters that belong together are joined, and
    a half alone (a lone surrogate, as in JSON's "\\ud83d") becomes U+FFFD.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
