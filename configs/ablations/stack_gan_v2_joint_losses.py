"""StackGAN-v2 without the joint conditional and unconditional losses ("no JCU").

    t2i-jax sweep --config=stack_gan_v2:cub --sweep=stack_gan_v2_joint_losses \\
        --workdir=runs/joint_losses
"""


def sweep():
    """Two flat override dicts; ``name`` is the run's directory. Without the unconditional terms the
    authors halve those of the negatives too.
    """
    yield {"name": "joint"}
    yield {
        "name": "no_jcu",
        "loss.d.wrong": 0.5,
        "loss.d.fake": 0.5,
        "loss.d.uncond_real": 0.0,
        "loss.d.uncond_wrong": 0.0,
        "loss.d.uncond_fake": 0.0,
        "loss.g.uncond_fake": 0.0,
    }
