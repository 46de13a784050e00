"""MS-COCO captions: the editions of 2014 (the papers') and 2017."""

from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.layouts import coco
from t2i_jax.data.records import Layout


class T2iCoco(Builder):
    """Photos of everyday scenes with five to seven captions each; no classes."""

    TAKES_IMAGES = True
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "A folder with train2014/, val2014/ and annotations/captions_{train,val}2014.json (or "
        f"2017) from {coco.GET}; or AttnGAN's folder with train/, test/, text/ and images/."
    )
    BUILDER_CONFIGS = [
        Config.make(kind="2014", description="train2014 and val2014"),
        Config.make(kind="2017", description="train2017 and val2017"),
    ]
    EXPECTED = {
        "2014": {"train": 82783, "val": 40504},
        "2017": {"train": 118287, "val": 5000},
    }
    DESCRIPTION = (
        "COCO photos with their captions, grouped by image. Annotations CC BY 4.0; every photo "
        "has its own Flickr licence."
    )
    HOMEPAGE = "https://cocodataset.org"
    CITATION = """
@inproceedings{lin2014microsoft,
  title = {Microsoft {COCO}: Common Objects in Context},
  author = {Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro
    and Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  booktitle = {ECCV},
  year = {2014}
}
@article{chen2015microsoft,
  title = {Microsoft {COCO} Captions: Data Collection and Evaluation Server},
  author = {Chen, Xinlei and Fang, Hao and Lin, Tsung-Yi and Vedantam, Ramakrishna and
    Gupta, Saurabh and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  journal = {arXiv:1504.00325},
  year = {2015}
}"""

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `t2i_jax.data.layouts.coco`."""
        return coco.read(job.source, job.images, self.builder_config.kind)
