"""What an evaluation leaves."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from PIL import Image

from t2i_jax.evaluation.results import Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """details: JSON types. pictures: by name. text: for the terminal. record: the numbers that
    tables take, if there are any.
    """

    details: Mapping[str, Any]
    pictures: Mapping[str, Image.Image] = dataclasses.field(default_factory=dict)
    text: str = ""
    record: Record | None = None
