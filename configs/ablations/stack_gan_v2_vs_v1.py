"""StackGAN-v1 against StackGAN-v2 on the same data.

    t2i-jax sweep --config=stack_gan_v2:cub --sweep=stack_gan_v2_vs_v1 --workdir=runs/v1_vs_v2

Runs in this order: Stage II needs the finished Stage I beside it.
"""


def sweep():
    """Three flat override dicts. ``name`` is the run's directory; ``config`` names another config
    file in place of the command line's, with the same argument; "{workdir}" is the folder of the
    runs from the same seed.
    """
    yield {"name": "v1_stage1", "config": "stack_gan_v1"}
    yield {
        "name": "v1_stage2",
        "config": "stack_gan_v1_stage2",
        "frozen.stage1": "{workdir}/v1_stage1",
    }
    yield {"name": "v2"}
