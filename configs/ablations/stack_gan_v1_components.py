"""The paper's component analysis of StackGAN-v1 on birds (ICCV 2017, section 4.3).

    t2i-jax sweep --config=stack_gan_v1:cub --sweep=stack_gan_v1_components \\
        --workdir=runs/components

Stage I alone at 64 and at 256 px, and both stages at 128 and at 256 px; each without conditioning
augmentation ("no_ca"), and those of two stages with text in Stage I only ("text_once"). Stage II
needs the finished Stage I beside it, so the runs of Stage I at 64 px come first.
"""

_NO_CA = {"generator.augment": False, "loss.g.kl": 0.0}
_TEXT_ONCE = {"generator.text": False, "loss.g.kl": 0.0}
_STAGE2 = "stack_gan_v1_stage2"


def sweep():
    """Ten flat override dicts; ``name`` is the run's directory. ``config`` names another config
    file in place of the command line's, with the same argument; "{workdir}" is the folder of the
    runs from the same seed.
    """
    for size in (64, 256):
        yield {"name": f"stage1_{size}", **_size(size)}
        yield {"name": f"stage1_{size}_no_ca", **_size(size), **_NO_CA}
    for size, blocks in ((128, 2), (256, 4)):
        for suffix, stage1, changes in (
            ("", "stage1_64", {}),
            ("_no_ca", "stage1_64_no_ca", _NO_CA),
            ("_text_once", "stage1_64", _TEXT_ONCE),
        ):
            yield {
                "name": f"both_{size}{suffix}",
                "config": _STAGE2,
                "frozen.stage1": f"{{workdir}}/{stage1}",
                "generator.residual_blocks": blocks,
                **_size(size),
                **changes,
            }


def _size(size: int) -> dict:
    return {"generator.image_size": size, "discriminator.image_size": size, "data.size": size}
