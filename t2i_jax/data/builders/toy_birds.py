"""toy_birds: cartoon birds with captions, generated on the machine (`t2i_jax.data.toy_birds`)."""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from t2i_jax.data import toy_birds
from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.records import Layout, Raw, Split


@dataclasses.dataclass(eq=False, kw_only=True)
class ToyConfig(Config):
    """num_images: of both splits together. size: pixels a side. seed: of the generator."""

    num_images: int = 5000
    size: int = 96
    seed: int = 0

    def name_parts(self) -> list[str]:
        """See `Config`."""
        return [f"{self.size}px", str(self.num_images), f"seed{self.seed}"]


class T2iToyBirds(Builder):
    """Any number of drawn birds of 125 species; 100 species train, 25 test."""

    BUILDER_CONFIGS = [ToyConfig.make(description="5,000 images of 96 pixels")]
    DESCRIPTION = (
        "Procedurally drawn birds with ten captions each that are exactly true. The attributes "
        "behind image and captions are kept as integers; their names are in the metadata."
    )
    HOMEPAGE = ""
    CITATION = ""

    def extra_features(self) -> dict[str, Any]:
        """The integer label of every attribute."""
        return {
            "attributes": tfds.features.FeaturesDict(dict.fromkeys(toy_birds.ATTRIBUTES, np.int64))
        }

    def layout(self, job: Job) -> Layout:
        """The generator's splits as records with PNG images."""
        config = self.builder_config
        self.info.metadata["attribute_names"] = {
            name: list(values) for name, values in toy_birds.ATTRIBUTES.items()
        }
        splits = {
            split: Split(self._raws(split), len(indices))
            for split, indices in toy_birds.split_indices(config.num_images).items()
            if len(indices)
        }
        return Layout(splits, [species.name for species in toy_birds.SPECIES])

    def _raws(self, split: str) -> Iterator[Raw]:
        config = self.builder_config
        for index, bird in toy_birds.examples(split, config.num_images, config.seed, config.size):
            png = io.BytesIO()
            Image.fromarray(bird.image).save(png, "PNG")
            yield Raw(
                id=f"{index:06d}",
                filename=f"{index:06d}.png",
                image=png.getvalue(),
                captions=bird.captions,
                label=bird.label,
                extra={"attributes": bird.attributes},
            )
