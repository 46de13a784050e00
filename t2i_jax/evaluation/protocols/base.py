"""What a protocol of numbers is: its name fixes every number of it.

A protocol is a plug-in of two methods. `needs` says what is drawn and seen by which network,
`measure` makes numbers of the features. Drawing, streaming, caching and keeping the results are
done around them, once for all.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from PIL import Image

from t2i_jax.evaluation.feature_store import FeatureStore
from t2i_jax.evaluation.image_sets import ImageSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """What a protocol is computed from.

    samples: how many.
    rule: of their captions, see `t2i_jax.evaluation.held_out.RULES`.
    truncation: of the noise; None: as in training.
    extractor: the name of a network of images; "": the one of the option --features.
    dual: the images are seen, and captions read, by the encoders of the option --encoder, or of
        the name `extractor`.
    prefix: put before every caption that is read.
    reference: real images that the samples are compared with: "" (none), "held_out" or "train".
    mirrored: the reference is turned left to right.
    """

    samples: int
    rule: str = "random"
    truncation: float | None = None
    extractor: str = ""
    dual: bool = False
    prefix: str = ""
    reference: str = ""
    mirrored: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """What `NumberProtocol.measure` sees: features of the samples and of the reference, if there is
    one, and the samples themselves.
    """

    samples: FeatureStore
    reference: FeatureStore | None
    images: ImageSet
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """values: finite numbers by name, None for one without meaning. spreads: the deviation of those
    that are means over parts. conditions: what the numbers depend on beside the protocol's name:
    layer, splits, subsets. details: more that is kept, JSON types. pictures: by name.
    """

    values: Mapping[str, float | None]
    spreads: Mapping[str, float] = dataclasses.field(default_factory=dict)
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: Mapping[str, Image.Image] = dataclasses.field(default_factory=dict)


class NumberProtocol(Protocol):
    """name: with all that it fixes. description: in words, with the paper whose table it is.
    lower_is_better: names of such values.
    """

    name: str
    description: str
    lower_is_better: Sequence[str]

    def needs(self) -> Needs:
        """What it is computed from."""
        ...

    def measure(self, given: Given) -> Measured:
        """The numbers."""
        ...
