"""StackGAN-v2 with one, two and three branches: up to 64, 128 and 256 px.

t2i-jax sweep --config=stack_gan_v2:cub --sweep=stack_gan_v2_branches --workdir=runs/branches
"""


def sweep():
    """Three flat override dicts; ``name`` is the run's directory."""
    for scales in (1, 2, 3):
        size = 64 * 2 ** (scales - 1)
        yield {"name": f"branches_{scales}", "generator.scales": scales, "data.size": size}
