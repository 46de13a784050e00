"""Weights of the DM-GAN release (``bird_DMGAN.pth``, ``netD0.pth`` ...) <-> our variables.

Read files with `t2i_jax.interop.pytorch_legacy.load`. The mask is as in `interop.attn_gan`.
"""

from t2i_jax.interop import files
from t2i_jax.interop.three_stage import Release
from t2i_jax.models.dm_gan import Discriminator, Generator

RELEASE = Release(
    system="DM-GAN",
    generator=Generator,
    discriminator=Discriminator,
    words="M_w.0",
    stage=lambda blocks: {
        "A": ("gate_words",),
        "B": ("gate_image",),
        "M_r.0": ("write_image",),
        "M_w.0": ("write_words",),
        "key.0": ("key",),
        "value.0": ("value",),
        "response_gate.0": ("response",),
    },
    head={"img.0": ("conv",)},
    linear={"M_r.0": 3, "M_w.0": 3, "key.0": 3, "value.0": 3},
)
import_generator = RELEASE.import_generator
export_generator = RELEASE.export_generator
import_discriminator = RELEASE.import_discriminator
export_discriminator = RELEASE.export_discriminator
PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.scales_reader(import_discriminator),
}
