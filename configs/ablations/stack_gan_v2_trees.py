"""StackGAN-v2 with other trees: is it the many scales, or the many networks?

    t2i-jax sweep --config=stack_gan_v2:cub --sweep=stack_gan_v2_trees --workdir=runs/trees

single  "G3": the whole trunk, but one image and one discriminator, at the full size
copies  "3G3": the last stage three times, each with its own weights, noise and discriminator
all256  every stage at the full size: 256, 256, 256 px

The paper describes the last two in a sentence each; what their stages look like is our reading.
"""


def sweep():
    """Four flat override dicts for a tree of three scales; ``name`` is the run's directory."""
    yield {"name": "tree"}
    yield {"name": "single", "generator.heads": (3,)}
    yield {"name": "copies", "generator.heads": (3,), "generator.last_copies": 3}
    yield {"name": "all256", "generator.same_size": True}
