"""What the tests of the DF-GAN and RAT-GAN networks share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

NOISE = {"z": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
SENTENCE = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
IMAGES = np.random.default_rng(2).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)


def shapes(module, sentence_dim=256):
    """Variables as shapes, of a generator or a discriminator."""
    if hasattr(module, "noise_shapes"):
        first = {name: jnp.zeros((1, *shape)) for name, shape in module.noise_shapes.items()}
    else:
        first = jnp.zeros((1, module.image_size, module.image_size, 3))
    sentence = jnp.zeros((1, sentence_dim))
    return jax.eval_shape(lambda: module.init(jax.random.key(0), first, sentence, train=False))


def count(module):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes(module)))


def random_variables(module, *inputs):
    """Variables without zeros, so that every path counts."""

    like = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))
    rng = np.random.default_rng(3)

    def draw(path, leaf):
        scales = path[-1].key == "bias2"  # of the affine layers: near the identity
        fan_in = np.prod(leaf.shape[:-1]) if leaf.ndim > 1 and not scales else 10.0
        middle = np.array([[1.0], [0.0]]) if scales else 0.0
        return (middle + rng.normal(size=leaf.shape) / np.sqrt(fan_in)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, like)


@functools.partial(jax.jit, static_argnums=0)
def run(module, variables, *inputs):
    """A pass of a whole module in training mode."""
    return module.apply(variables, *inputs, train=True)
