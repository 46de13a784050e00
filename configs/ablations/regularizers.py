"""What holds back D of any system: slopes of D, the relativistic pairing, DiffAugment.

    t2i-jax sweep --config=attn_gan:cub --sweep=regularizers --workdir=runs/regularizers

The argument says which heads D has, and by that which adversarial terms there are:

two_heads   with the text and without it: AttnGAN, DM-GAN, DR-GAN, both StackGANs (the default)
one_head    with the text alone: GAN-INT-CLS, XMC-GAN (--sweep=regularizers:one_head)
one_stage   the same without batch norms and with MA-GP from the start: RAT-GAN, DF-GAN

none          the system's other terms alone
r1, r2        slope of D at real images, at fakes; r1_r2: both
ma_gp         slope of D at real images and their texts; in RAT-GAN and DF-GAN with their weight
relativistic  R3GAN: by how much real images beat fake ones in place of the adversarial terms; not
              without both slopes. Mismatched pairs stay

Each of them as it is and with DiffAugment ("_augment").
"""

from t2i_jax import config_parts as parts

ARGUMENTS = ("two_heads", "one_head", "one_stage")
# About 0.0002 * side**2 / batch for 256 px; sixth powers of a batch-normalised D are thousands.
_SLOPES = {"loss.d.r1": 0.5, "loss.d.r2": 0.5}
_MA_GP = 1e-4
_REPLACED = ("d.real", "d.fake", "g.fake")
_OF_THE_OTHER_HEAD = ("d.uncond_real", "d.uncond_fake", "g.uncond_fake")
_POLICIES = ("color", "translation", "cutout")


def sweep(arg: str = "two_heads"):
    """Twelve flat override dicts; ``name`` is the run's directory."""
    parts.one_of(arg, ARGUMENTS)
    replaced = _REPLACED + _OF_THE_OTHER_HEAD * (arg == "two_heads")
    relativistic = {
        **_SLOPES,
        "loss.d.relativistic": 1.0,
        "loss.g.relativistic": 1.0,
        **{f"loss.{term}": 0.0 for term in replaced},
    }
    runs = {
        "none": {},
        "r1": {"loss.d.r1": 0.5},
        "r2": {"loss.d.r2": 0.5},
        "r1_r2": _SLOPES,
        "ma_gp": {"loss.d.ma_gp": 1.0 if arg == "one_stage" else _MA_GP},
        "relativistic": relativistic,
    }
    for name, changes in runs.items():
        changes = {"loss.d.ma_gp": 0.0, **changes}
        yield {"name": name, **changes}
        yield {"name": f"{name}_augment", **changes, "recipe.augment": _POLICIES}
