"""Networks of the XMC-GAN release (Flax, 2021) <-> our modules and variables.

The authors published no weights; this reads ``checkpoints-<host>/ckpt-<n>.flax``, which their
trainer writes: a msgpack of the whole state, read without unpickling anything. The generator is its
average, with the running statistics of the trained one, as the release samples with it. Names of
layers are those that Flax 0.3 gave them; sizes are read off the arrays, every array is checked by
name, shape and for finite values.

D's left singular vectors, which the release does not store, follow from the right ones.
"""

import os
from collections.abc import Mapping
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax import paths
from t2i_jax.interop import files
from t2i_jax.interop.published import check, empty
from t2i_jax.interop.state_dict import extent, numbers
from t2i_jax.models.xmc_gan import WIDTHS, Discriminator, Generator

Arrays = Mapping[str, np.ndarray]
Layers = dict[str, tuple[str, ...]]  # the release's name of a layer: our path

RELEASED = {
    "start": "noise",
    "project_sentence": True,
    "attention": "shared",
    "unit_words": True,
    "attend_from": 16,
    "last_attends": True,
    "gain": "one_plus_gamma",
}
_FIRST = "DiscOptimizedBlock_0"
_SIZES = {3: 128, 4: 256}  # by the number of attending blocks of G
_TEXT = 2  # tokens of a caption, on which no shape depends


def generator_layers(generator: Generator) -> Layers:
    """The release's names; ValueError for a generator in another form than its own."""
    if other := [k for k, v in RELEASED.items() if getattr(generator, k) != v]:
        raise ValueError(f"the release has no generator with another {', '.join(other)}")
    blocks = len(WIDTHS[generator.image_size])
    names = {
        "Dense_0": ("sentence",),
        "Dense_1": ("first",),
        "Conv_0": ("query",),
        "Conv_1": ("image",),
        **_norm("LocalConditionalBatchNorm_0", "Conv", "norm"),
    }
    for i in range(blocks):
        plain = i < 2
        theirs = f"GenBlock_{i}" if plain else f"GenSpatialBlock_{i - 2}"
        names |= _convs(f"{theirs}/Conv", f"block{i}")
        norm = f"{theirs}/{'' if plain else 'Local'}ConditionalBatchNorm"
        for j in range(2):
            layer = "Dense" if plain else "Conv"
            names |= _norm(f"{norm}_{j}", layer, f"block{i}", f"norm{j + 1}")
    return names


def _convs(theirs: str, *ours: str) -> Layers:
    parts = ("conv1", "conv2", "shortcut")
    return {f"{theirs}_{i}": (*ours, part) for i, part in enumerate(parts)}


def _norm(theirs: str, layer: str, *ours: str) -> Layers:
    return {
        f"{theirs}/{layer}_0": (*ours, "gamma"),
        f"{theirs}/{layer}_1": (*ours, "beta"),
        f"{theirs}/BatchNorm_0": (*ours, "bn"),
    }


def discriminator_layers(blocks: int) -> Layers:
    """The release's names for a discriminator of so many blocks; the last has no shortcut."""
    names = {
        "SpectralConv_0": ("regions", "conv"),
        "SpectralDense_0": ("answer",),
        "SpectralDense_1": ("sentence",),
    }
    for i in range(blocks):
        theirs = f"DiscBlock_{i - 1}" if i else _FIRST
        names |= _convs(f"{theirs}/SpectralConv", f"block{i}")
    del names[f"DiscBlock_{blocks - 2}/SpectralConv_2"]
    return names


def import_generator(params: Arrays, batch_stats: Arrays) -> tuple[Generator, dict[str, Any]]:
    """(module, variables) of flat arrays by "/"-joined names; ValueError where they do not fit."""
    try:
        count = numbers(params, "GenSpatialBlock_{}/")
        if count not in _SIZES:
            raise ValueError(f"{count} blocks that attend; the release has {list(_SIZES)}")
        generator = Generator(
            channels=extent(params, "Conv_1/kernel", 2),
            image_size=_SIZES[count],
            noise_dim=extent(params, "Dense_1/kernel", 0),
            **RELEASED,
        )
        width = extent(params, "Dense_0/kernel", 0)
    except ValueError as error:
        raise ValueError(f"not a generator of XMC-GAN: {error}") from error
    noise = {"z": jnp.zeros((1, generator.noise_dim))}
    text = jnp.zeros((1, width)), jnp.zeros((1, _TEXT, width)), jnp.ones((1, _TEXT), bool)
    like = empty(lambda: generator.init(jax.random.key(0), noise, *text, train=False))
    arrays = {"params": params, "batch_stats": batch_stats}
    return generator, _read(arrays, generator_layers(generator), like, "XMC-GAN's generator")


def export_generator(generator: Generator, variables: Mapping[str, Any]) -> dict[str, Arrays]:
    """The inverse of `import_generator`, by collection; gradients in the parameters' place do as
    well. Raises ValueError for a generator that the release does not have.
    """
    return _write(variables, generator_layers(generator))


def import_discriminator(params: Arrays, stats: Arrays) -> tuple[Discriminator, dict[str, Any]]:
    """(module, variables), as `import_generator`. stats: the collection spectral_norm_stats."""
    try:
        blocks = 1 + numbers(params, "DiscBlock_{}/")
        discriminator = Discriminator(
            channels=extent(params, f"{_FIRST}/SpectralConv_0/kernel", 3),
            image_size=2 ** (blocks + 1),
        )
        sentence = extent(params, "SpectralDense_1/kernel", 0)
        words = extent(params, "SpectralConv_0/kernel", 3)
    except ValueError as error:
        raise ValueError(f"not a discriminator of XMC-GAN: {error}") from error
    size = discriminator.image_size
    images, sentences = jnp.zeros((1, size, size, 3)), jnp.zeros((1, sentence))
    like = empty(
        lambda: discriminator.init(jax.random.key(0), images, sentences, words, train=False)
    )
    arrays = {"params": params, "spectral": stats}
    layers = discriminator_layers(blocks)
    return discriminator, _read(arrays, layers, like, "XMC-GAN's discriminator")


def export_discriminator(
    discriminator: Discriminator, variables: Mapping[str, Any]
) -> dict[str, Arrays]:
    """The inverse of `import_discriminator`, by collection: "params" and "spectral"."""
    if discriminator.head_layers:
        raise ValueError("the release has no discriminator with projection heads")
    return _write(variables, discriminator_layers(len(discriminator.widths)))


def load_generator(path: files.Path) -> tuple[Generator, dict[str, Any]]:
    """The averaged generator of a checkpoint; errors name the file."""

    def read(state):
        return import_generator(
            _flat(state, "ema_params"), _flat(state, "generator_state", "batch_stats")
        )

    return files.named(path, read, _restore(path))


def load_discriminator(path: files.Path) -> tuple[Discriminator, dict[str, Any]]:
    """The discriminator of a checkpoint; errors name the file."""

    def read(state):
        return import_discriminator(
            _flat(state, "d_optimizer", "target"),
            _flat(state, "discriminator_state", "spectral_norm_stats"),
        )

    return files.named(path, read, _restore(path))


# What msgpack and Flax raise where a file is damaged.
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, MemoryError)


def _restore(path: files.Path) -> Any:
    try:
        return flax.serialization.msgpack_restore(paths.read_bytes(paths.path(path)))
    except IsADirectoryError:
        raise ValueError(f"{os.fspath(path)} is a folder: a file of weights is needed") from None
    except _BROKEN as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{os.fspath(path)}: not a checkpoint of Flax: {told}") from error


def _flat(state: Any, *keys: str) -> Arrays:
    for key in keys:
        if not isinstance(state, Mapping) or key not in state:
            raise ValueError(f"not a state of XMC-GAN's trainer: it has no {'/'.join(keys)}")
        state = state[key]
    arrays = flatten_dict(state, sep="/") if isinstance(state, Mapping) else {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{'/'.join(keys)}: {name} is no array but {type(array).__name__}")
    return arrays


def _read(
    arrays: Mapping[str, Arrays], layers: Layers, like: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """Variables in float32, of the shapes of `like`."""
    expected = _write(like, layers)
    found: dict[tuple[str, ...], np.ndarray] = {}
    ours = flatten_dict(dict(like))
    for collection, names in arrays.items():
        shapes = {name: array.shape for name, array in expected[collection].items()}
        check(names, shapes, f"{what}, {collection}")
        for name, array in names.items():
            path = _path(collection, name, layers)
            found[path] = np.asarray(array, np.float32).reshape(ours[path].shape)
    for path in ours.keys() - found.keys():  # v of u
        kernel = found["params", *path[1:-1], "conv", "kernel"]
        left = kernel.reshape(-1, kernel.shape[-1]) @ found[*path[:-1], "u"]
        found[path] = left / np.sqrt(np.sum(np.square(left)) + 1e-10)
    return unflatten_dict(found)


def _path(collection: str, name: str, layers: Layers) -> tuple[str, ...]:
    layer, _, leaf = name.rpartition("/")
    if leaf == "u0":
        return (collection, *layers[layer], "u")
    spectral = layer.rpartition("/")[2].startswith("Spectral")
    inside = ("conv",) if spectral and leaf == "kernel" else ()
    return (collection, *layers[layer], *inside, leaf)


def _write(variables: Mapping[str, Any], layers: Layers) -> dict[str, Arrays]:
    """Arrays by collection and name, in the release's shapes."""
    names = {path: name for name, path in layers.items()}
    found: dict[str, dict[str, np.ndarray]] = {}
    for (collection, *path, leaf), value in flatten_dict(dict(variables)).items():
        if leaf == "v":
            continue
        inner = tuple(path[:-1]) if leaf == "kernel" and tuple(path) not in names else tuple(path)
        if inner not in names:
            raise ValueError(f"the release has no layer {'/'.join(path)}")
        layer, array = names[inner], np.asarray(value)
        if leaf == "kernel":
            conv = "Conv" in layer.rpartition("/")[2]
            array = array.reshape(*((1, 1) if array.ndim == 2 and conv else ()), *array.shape)
            array = array if conv else array.reshape(array.shape[-2:])
        elif leaf == "u":
            leaf, array = "u0", array[None]
        found.setdefault(collection, {})[f"{layer}/{leaf}"] = array
    return found


PARTS = {"generator": load_generator, "discriminator": load_discriminator}
