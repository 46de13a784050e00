"""A user's own images and captions; see `t2i_jax.data.layouts.own.recognise` for the layouts."""

import dataclasses

from t2i_jax.data import hold_out
from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.layouts.own import recognise
from t2i_jax.data.records import Layout


@dataclasses.dataclass(eq=False, kw_only=True)
class FolderConfig(Config):
    """no_captions: take images without captions too, for training without text.

    test_share: of the images, held out for a test where the source has no split for it.
    """

    no_captions: bool = False
    test_share: float = hold_out.SHARE

    def name_parts(self) -> list[str]:
        """See `Config`. The kind is the name of the source folder."""
        usual = self.test_share == hold_out.SHARE
        test = "" if usual else f"test{100 * self.test_share:g}"
        return [*super().name_parts(), "uncaptioned" if self.no_captions else "", test]


class T2iFolder(Builder):
    """Images in a folder with their captions."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"A folder with images and captions:\n{recognise.FORMATS}"
    BUILDER_CONFIGS = [FolderConfig.make(kind="folder", description="a folder of that name")]
    TURNED = True
    DESCRIPTION = "Images of the user's own, with captions and where given classes and boxes."

    @property
    def need_captions(self) -> bool:
        """Whether an image without a caption is skipped."""
        return not self.builder_config.no_captions

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `recognise.read`."""
        layout = recognise.read(job.source, self.builder_config.no_captions)
        hold_out.hold_out(layout, self.builder_config.test_share, job.console)
        return layout
