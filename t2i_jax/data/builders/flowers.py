"""Oxford-102 flowers with ten captions an image (Reed et al., CVPR 2016)."""

from t2i_jax.data.builders.base import Builder, CaptionedConfig, Job
from t2i_jax.data.layouts import flowers
from t2i_jax.data.records import Layout


class T2iFlowers(Builder):
    """8,189 photos of 102 kinds of flowers. Splits: see the configs."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"A folder with jpg/ from {flowers.IMAGES_AT}, and beside it text_c10/, "
        f"trainvalclasses.txt and testclasses.txt from {flowers.CAPTIONS_AT}."
    )
    BUILDER_CONFIGS = [
        CaptionedConfig.make(kind="disjoint", description="82 classes train, 20 test"),
        CaptionedConfig.make(kind="official", description="10 a class train and val, rest test"),
    ]
    EXPECTED = {
        "disjoint": {"train": 7034, "test": 1155},
        "official": {"train": 1020, "val": 1020, "test": 6149},
    }
    DESCRIPTION = (
        "Photos of 102 kinds of flowers with ten captions each. Thirteen photos have only nine: "
        "one line of their caption files is a bare {}."
    )
    HOMEPAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    CITATION = """
@inproceedings{nilsback2008automated,
  title = {Automated Flower Classification over a Large Number of Classes},
  author = {Nilsback, Maria-Elena and Zisserman, Andrew},
  booktitle = {Indian Conference on Computer Vision, Graphics and Image Processing},
  year = {2008}
}
@inproceedings{reed2016learning,
  title = {Learning Deep Representations of Fine-Grained Visual Descriptions},
  author = {Reed, Scott and Akata, Zeynep and Lee, Honglak and Schiele, Bernt},
  booktitle = {CVPR},
  year = {2016}
}"""

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `t2i_jax.data.layouts.flowers`."""
        config = self.builder_config
        return flowers.read(job.source, config.kind, config.embeddings)
