"""What the cases of XMC-GAN share: the file's networks and captions."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from parity._compare import close, section
from t2i_jax.encoders.resnet_50 import ResNet50
from t2i_jax.interop.image_network import import_resnet_50
from t2i_jax.interop.xmc_gan import import_discriminator, import_generator
from t2i_jax.types import Text

VALUES, GRADIENTS = 2e-4, 1e-3  # tolerances that the file comes with


def text(golden, batch="in0") -> Text:
    """The captions of a batch."""
    words = golden[f"{batch}/embedding"]
    mask = np.arange(words.shape[1]) < golden[f"{batch}/max_len"]
    return Text(golden[f"{batch}/sentence_embedding"], words, mask)


def generator(golden):
    """(module, variables)."""
    return import_generator(section(golden, "g_params/"), section(golden, "g_batch_stats/"))


def discriminator(golden):
    """(module, variables)."""
    stats = section(golden, "d_sn/")
    return import_discriminator(section(golden, "d_params/"), stats)


def all_close(actual, expected, what, tolerance=VALUES):
    """The expected arrays, by name."""
    for name, array in expected.items():
        close(actual[name], array, f"{what} {name}", tolerance)


def image_network(golden):
    """(module, variables) of a ResNet-50, whose weights are drawn from the file's seed."""
    like = jax.eval_shape(
        lambda: ResNet50().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False)
    )
    random = np.random.RandomState(golden["resnet/seed"])

    def draw(name, shape):
        layer, _, leaf = name.rpartition("/")
        if leaf == "var":
            return 1 + 0.2 * random.uniform(size=shape)
        x = random.standard_normal(shape)
        if leaf == "kernel":
            return x * np.sqrt(2 / np.prod(shape[:-1]))
        if leaf == "scale":
            return (1 + 0.1 * x) * (0.3 if layer.endswith("bn3") else 1)
        return 0.1 * x

    found = {}
    for collection in ("params", "batch_stats"):
        flat = sorted(flatten_dict(like[collection], sep="/").items())
        tree = {name: np.float32(draw(name, x.shape)) for name, x in flat}
        found[collection] = unflatten_dict(tree, sep="/")
    return import_resnet_50(found)
