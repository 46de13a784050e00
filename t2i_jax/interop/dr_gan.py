"""Weights of the DR-GAN release (``DRGAN_Bird.pth``, ``netD0.pth`` ...) <-> our variables.

Read files with `t2i_jax.interop.pytorch_legacy.load`. Imported networks compute the released form;
their masks depend on the batch size (``sdm_mask_scale=0``) unless it is given. The mask of the
words is as in `interop.attn_gan`. Layers that nothing depends on are left out on import, and are
not there on export: load an export with PyTorch's ``strict=False``.
"""

from t2i_jax.interop import files
from t2i_jax.interop.state_dict import Layers
from t2i_jax.interop.three_stage import Release, pair, residual
from t2i_jax.models.dr_gan import Discriminator, Generator


def _stage(blocks: int) -> Layers:
    layers = {"att.conv_context": ("attention", "project")}
    layers |= residual("residual0", blocks, "context_res")
    for theirs, ours in (("reduct_demension", "context"), ("reduct_demension2", "image")):
        layers |= pair(theirs, (0, 1), ("sdm", f"{ours}_mask1"))
        layers |= pair(theirs, (3, 4), ("sdm", f"{ours}_mask2"))
    layers |= {"global_reduction.0": ("sdm", "code"), "global_reduction.1": ("sdm", "code_bn")}
    layers |= pair("img_code_sxx", (0, 1), ("sdm", "real1"))
    return layers | pair("img_code_sxx", (3, 4), ("sdm", "real2"))


RELEASE = Release(
    system="DR-GAN",
    generator=Generator,
    discriminator=Discriminator,
    words="att.conv_context",
    stage=_stage,
    head={
        **pair("img", (0, 1), ("block1",)),
        **pair("img", (3, 4), ("block2",)),
        "img.6": ("conv",),
    },
    linear={"att.conv_context": 4, "global_reduction.0": 4},
    fields={"sdm_form": "released"},
    d_fields={"dnm_form": "released"},
    dead=("global_reductionxx.",),
    d_dead=("h_net2.", "h_net3.", "fc.", "upsample", "att.", "residual."),
)
import_generator = RELEASE.import_generator
export_generator = RELEASE.export_generator
import_discriminator = RELEASE.import_discriminator
export_discriminator = RELEASE.export_discriminator
PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.scales_reader(import_discriminator),
}
