"""What holds back D of any system with unconditional heads (AttnGAN, DM-GAN, DR-GAN, StackGAN-v2).

    python launch/sweep.py --config=configs/attn_gan.py:cub \\
        --sweep=configs/ablations/regularizers.py --workdir=runs/regularizers

none          the system as it is
r1, r2        slope of D at real images, at fakes; r1_r2: both
ma_gp         slope of D at real images and their texts
relativistic  R3GAN: by how much real images beat fake ones in place of the adversarial terms; not
              without both slopes. Mismatched pairs stay

Each of them as it is and with DiffAugment ("_augment").
"""

# About 0.0002 * side**2 / batch for 256 px; sixth powers of a batch-normalised D are thousands.
_SLOPES = {"loss.d.r1": 0.5, "loss.d.r2": 0.5}
_REPLACED = ("d.real", "d.fake", "d.uncond_real", "d.uncond_fake", "g.fake", "g.uncond_fake")
_RUNS = {
    "none": {},
    "r1": {"loss.d.r1": 0.5},
    "r2": {"loss.d.r2": 0.5},
    "r1_r2": _SLOPES,
    "ma_gp": {"loss.d.ma_gp": 1e-4},
    "relativistic": {
        **_SLOPES,
        "loss.d.relativistic": 1.0,
        "loss.g.relativistic": 1.0,
        **{f"loss.{term}": 0.0 for term in _REPLACED},
    },
}
_POLICIES = ("color", "translation", "cutout")


def sweep():
    """Twelve flat override dicts; ``name`` is the run's directory."""
    for name, changes in _RUNS.items():
        yield {"name": name, **changes}
        yield {"name": f"{name}_augment", **changes, "recipe.augment": _POLICIES}
