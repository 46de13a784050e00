"""toy_birds: cartoon birds with captions, generated on the machine (`t2i_jax.data.toy_birds`)."""

import dataclasses
import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from t2i_jax.data import toy_birds
from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import Problem


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
    SPECIES = tuple(species.name for species in toy_birds.SPECIES)

    def draw(self, item: int) -> toy_birds.ToyBird:
        """Example `item`."""
        return toy_birds.generate(item, self.builder_config.seed, self.builder_config.size)

    def extra_features(self) -> dict[str, Any]:
        """The integer label of every attribute."""
        return {
            "attributes": tfds.features.FeaturesDict(dict.fromkeys(toy_birds.ATTRIBUTES, np.int64))
        }

    def layout(self, job: Job) -> Layout:
        """The generator's splits: indices of examples."""
        self.info.metadata["attribute_names"] = {
            name: list(values) for name, values in toy_birds.ATTRIBUTES.items()
        }
        splits = {
            split: Split(indices.tolist(), len(indices))
            for split, indices in toy_birds.split_indices(self.builder_config.num_images).items()
            if len(indices)
        }
        return Layout(splits, self.SPECIES)

    def check(self, item: int) -> tuple[dict | None, list[Problem]]:
        """Draws example `item`, in a thread of the preparation, and stores it as PNG."""
        bird = self.draw(item)
        png = io.BytesIO()
        Image.fromarray(bird.image).save(png, "PNG")
        raw = Raw(
            id=f"{item:06d}",
            filename=f"{item:06d}.png",
            image=png.getvalue(),
            captions=bird.captions,
            label=bird.label,
            extra={"attributes": bird.attributes},
        )
        return super().check(raw)


class T2iToyBirdsMixed(T2iToyBirds):
    """The same of mixed birds: no species, every attribute drawn by itself."""

    DESCRIPTION = (
        "Procedurally drawn birds of no species, every attribute of which is drawn by itself; ten "
        "captions each that are exactly true."
    )
    SPECIES = ()

    def draw(self, item: int) -> toy_birds.ToyBird:
        """Example `item`."""
        return toy_birds.mix(item, self.builder_config.seed, self.builder_config.size)
