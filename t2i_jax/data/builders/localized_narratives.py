"""Localized Narratives over COCO-2017 and Open Images: one long spoken description a record."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.layouts import narratives
from t2i_jax.data.records import Layout


@dataclasses.dataclass(eq=False, kw_only=True)
class NarrativesConfig(Config):
    """traces: store the pointer's path and the times of the words too."""

    traces: bool = False

    def name_parts(self) -> list[str]:
        """See `Config`."""
        return [*super().name_parts(), "traces" if self.traces else ""]


class T2iLocalizedNarratives(Builder):
    """Photos with a paragraph each, spoken while pointing; an image may have several records."""

    TAKES_IMAGES = True
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "A folder with *_captions.jsonl, or the full *_localized_narratives*.jsonl, from "
        f"{narratives.TEXTS_AT}, and the pictures of COCO-2017 (train2017/, val2017/) or Open "
        "Images (train/, validation/, test/) in it or in another folder (--images=DIR)."
    )
    BUILDER_CONFIGS = [
        NarrativesConfig.make(kind="coco", description="COCO-2017 pictures"),
        NarrativesConfig.make(kind="open_images", description="Open Images pictures"),
    ]
    EXPECTED = {
        "coco": {"train": 134272, "val": 8573},
        "open_images": {"train": 507444, "val": 41691, "test": 126020},
    }
    DESCRIPTION = (
        "Narratives joined to their pictures by image id, one record each. Annotations CC BY 4.0."
    )
    HOMEPAGE = "https://google.github.io/localized-narratives"
    CITATION = """
@inproceedings{PontTuset_eccv2020,
  title = {Connecting Vision and Language with Localized Narratives},
  author = {Pont-Tuset, Jordi and Uijlings, Jasper and Changpinyo, Soravit and Soricut, Radu and
    Ferrari, Vittorio},
  booktitle = {ECCV},
  year = {2020}
}"""

    def extra_features(self) -> dict[str, Any]:
        """What `traces` adds; see `t2i_jax.data.layouts.narratives`."""
        if not self.builder_config.traces:
            return {}
        return {
            "traces": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            "utterances": tfds.features.Sequence(tfds.features.Text()),
            "utterance_times": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        }

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `t2i_jax.data.layouts.narratives`."""
        config = self.builder_config
        return narratives.read(job.source, job.images, config.kind, config.traces)
