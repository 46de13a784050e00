"""CUB-200-2011 birds with ten captions an image (Reed et al., CVPR 2016)."""

from t2i_jax.data.builders.base import Builder, CaptionedConfig, Job
from t2i_jax.data.layouts import cub
from t2i_jax.data.records import Layout


class T2iCub(Builder):
    """11,788 photos of 200 bird species, with boxes. Splits: see the configs."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"A folder with CUB_200_2011/ from {cub.IMAGES_AT}, and beside it text_c10/ (or text/) "
        f"and train/, test/ with filenames.pickle and class_info.pickle from {cub.CAPTIONS_AT}."
    )
    BUILDER_CONFIGS = [
        CaptionedConfig.make(kind="disjoint", description="150 classes train, 50 test"),
        CaptionedConfig.make(kind="official", description="every class in both splits"),
    ]
    EXPECTED = {
        "disjoint": {"train": 8855, "test": 2933},
        "official": {"train": 5994, "test": 5794},
    }
    DESCRIPTION = (
        "Photos of 200 bird species with ten captions each and a bounding box in pixels "
        "(x, y, width, height). For non-commercial research and education; the photographers "
        "keep their rights."
    )
    HOMEPAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    CITATION = """
@techreport{WahCUB_200_2011,
  title = {{The Caltech-UCSD Birds-200-2011 Dataset}},
  author = {Wah, C. and Branson, S. and Welinder, P. and Perona, P. and Belongie, S.},
  year = {2011},
  institution = {California Institute of Technology},
  number = {CNS-TR-2011-001}
}
@inproceedings{reed2016learning,
  title = {Learning Deep Representations of Fine-Grained Visual Descriptions},
  author = {Reed, Scott and Akata, Zeynep and Lee, Honglak and Schiele, Bernt},
  booktitle = {CVPR},
  year = {2016}
}"""

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `t2i_jax.data.layouts.cub`."""
        config = self.builder_config
        return cub.read(job.source, config.kind, config.embeddings)
