"""Carrying out a protocol of numbers: features of samples and of real images, then its numbers.

Beside every number stands that of real images in place of the samples, ``<name>_of_real``: those of
the split that the reference is not of, or, where there is no reference, the images of the samples'
own captions. A score that real images do not reach, or that samples surpass, says little.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from PIL import Image
from rich.console import Console

from t2i_jax.evaluation import streaming
from t2i_jax.evaluation.extractors.base import DualEncoder, Extractor
from t2i_jax.evaluation.feature_store import FeatureStore
from t2i_jax.evaluation.image_sets import ImageSet
from t2i_jax.evaluation.protocols.base import Given, NumberProtocol
from t2i_jax.evaluation.results import OF_REAL, Record
from t2i_jax.waiting import Waiting

PACKAGES = (
    "t2i_jax",
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "scipy",
    "pillow",
    "opencv-python-headless",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealImages:
    """Real images of the data set; each None where there are none.

    reference: what samples are compared with. yardstick: what stands in the place of samples.
    """

    reference: ImageSet | None
    yardstick: ImageSet | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Places:
    """Where features are kept. samples: those of the samples. real: those of real images, for all
    runs.
    """

    samples: pathlib.Path
    real: pathlib.Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came out. details: JSON types beside the record."""

    record: Record
    details: Mapping[str, Any]
    pictures: Mapping[str, Image.Image]


def measure(
    protocol: NumberProtocol,
    network: Extractor | DualEncoder,
    samples: ImageSet,
    real: RealImages,
    places: Places,
    *,
    batch_size: int,
    seed: int,
    step: int | None,
    conditions: Mapping[str, Any],
    console: Console | None = None,
    processes: int | None = None,
) -> Evaluation:
    """The numbers of a protocol.

    conditions: what the caller knows of the samples; kept with the numbers.
    processes: see `streaming.extracted`.

    Raises ValueError where the protocol compares with real images or reads captions, and there are
    none.
    """
    needs = protocol.needs()
    if needs.reference and real.reference is None:
        raise ValueError(
            f"{protocol.name} compares with real images of the data set, which are not there"
        )
    extractor = network
    if isinstance(network, DualEncoder):
        extractor = network.images
        if not samples.captioned:
            raise ValueError(f"{protocol.name} reads captions; {samples.title} have none")

    def seen(images: ImageSet, root: pathlib.Path) -> FeatureStore:
        return streaming.extracted(
            images, network, root, batch_size, console, needs.prefix, processes
        )

    reference = seen(real.reference, places.real) if needs.reference else None

    def found(images: ImageSet, root: pathlib.Path):
        given = Given(samples=seen(images, root), reference=reference, images=images, seed=seed)
        with contextlib.nullcontext() if console is None else Waiting(f"computing {protocol.name}"):
            return protocol.measure(given)

    measured = found(samples, places.samples)
    values, spreads, details = dict(measured.values), dict(measured.spreads), dict(measured.details)
    if real.yardstick is not None:
        best = found(real.yardstick, places.real)
        values |= {f"{name}{OF_REAL}": value for name, value in best.values.items()}
        spreads |= {f"{name}{OF_REAL}": value for name, value in best.spreads.items()}
        details["of_real"] = dict(best.details)
    record = Record(
        protocol=protocol.name,
        step=step,
        values=values,
        spreads=spreads,
        lower_is_better=tuple(protocol.lower_is_better),
        conditions={
            **conditions,
            "description": protocol.description,
            "samples": len(samples),
            "seed": seed,
            "captions": samples.identity.get("captions"),
            **measured.conditions,
            "prefix": needs.prefix,
            "extractor": extractor.name,
            "extractor_description": extractor.description,
            "extractor_digest": extractor.digest,
            "preprocessing": extractor.preprocessing,
            "reference": _named(real.reference if needs.reference else None),
            "yardstick": _named(real.yardstick),
            "yardstick_samples": None if real.yardstick is None else len(real.yardstick),
        },
    )
    return Evaluation(record=record, details=details, pictures=measured.pictures)


def table(evaluation: Evaluation) -> str:
    """The numbers in lines for the terminal, those of real images beside them."""
    record = evaluation.record
    names = [name for name in record.values if not name.endswith(OF_REAL)]
    lines = [f"{record.protocol:24} {'samples':>22}  {'real images':>22}"]
    for name in names:
        mark = " (lower is better)" if name in record.lower_is_better else ""
        cells = (_cell(record, name), _cell(record, f"{name}{OF_REAL}"))
        lines.append(f"{name:24} {cells[0]:>22}  {cells[1]:>22}{mark}")
    fewer, distance = record.conditions["yardstick_samples"], record.conditions["reference"]
    if distance and fewer is not None and fewer < record.conditions["samples"]:
        lines.append(f"only {fewer:,} real images are there: fewer images have larger distances")
    if flattered := record.conditions.get("trained_with"):
        lines.append(
            f"this flatters the run, which was trained with these very networks: "
            f"{', '.join(flattered)}"
        )
    return "\n".join(lines)


def _cell(record: Record, name: str) -> str:
    value = record.values.get(name)
    if value is None:
        return "-"
    spread = record.spreads.get(name)
    return f"{value:.6g}" + ("" if spread is None else f" ± {spread:.3g}")


def _named(images: ImageSet | None) -> dict[str, Any] | None:
    return None if images is None else {"title": images.title, **images.identity}
