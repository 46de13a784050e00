"""Weights of the AttnGAN release (``bird_AttnGAN2.pth``, ``netD0.pth`` ...) <-> our variables.

Read files with `t2i_jax.interop.pytorch_legacy.load`. These weights were trained with the tiled
mask, which also makes a sample depend on its neighbours: an imported generator has the right one,
``clone(mask_order="tiled")`` gives the release's pictures.
"""

from t2i_jax.interop import files
from t2i_jax.interop.three_stage import Release
from t2i_jax.models.attn_gan import Discriminator, Generator

RELEASE = Release(
    system="AttnGAN",
    generator=Generator,
    discriminator=Discriminator,
    words="att.conv_context",
    stage=lambda blocks: {"att.conv_context": ("attention", "project")},
    head={"img.0": ("conv",)},
    linear={"att.conv_context": 4},
)
import_generator = RELEASE.import_generator
export_generator = RELEASE.export_generator
import_discriminator = RELEASE.import_discriminator
export_discriminator = RELEASE.export_discriminator
PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.scales_reader(import_discriminator),
}
