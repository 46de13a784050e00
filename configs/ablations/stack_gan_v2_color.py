"""StackGAN-v2 with and without colour consistency, on images alone.

    t2i-jax sweep --config=stack_gan_v2:folder_unconditional --sweep=stack_gan_v2_color \\
        --workdir=runs/color

For conditional models the paper finds it unnecessary.
"""


def sweep():
    """Two flat override dicts; ``name`` is the run's directory."""
    yield {"name": "color", "loss.g.color": 50.0}
    yield {"name": "no_color", "loss.g.color": 0.0}
