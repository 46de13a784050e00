"""A user's own images and captions; see `t2i_jax.data.layouts.folder` for the format."""

import dataclasses

from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.layouts import folder
from t2i_jax.data.records import Layout


@dataclasses.dataclass(eq=False, kw_only=True)
class FolderConfig(Config):
    """no_captions: take images without captions too, for training without text."""

    no_captions: bool = False

    def name_parts(self) -> list[str]:
        """See `Config`. The kind is the name of the source folder."""
        return [*super().name_parts(), "uncaptioned" if self.no_captions else ""]


class T2iFolder(Builder):
    """Images in a folder with a list of their captions."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"A folder of images with {folder.LIST} in it: {folder.FORMAT}."
    BUILDER_CONFIGS = [FolderConfig.make(kind="folder", description="a folder of that name")]
    TURNED = True
    DESCRIPTION = "Images of the user's own, with captions and where given classes and boxes."

    @property
    def need_captions(self) -> bool:
        """Whether an image without a caption is skipped."""
        return not self.builder_config.no_captions

    def layout(self, job: Job) -> Layout:
        """The user's folder, read; see `t2i_jax.data.layouts.folder`."""
        return folder.read(job.source, self.builder_config.no_captions)
