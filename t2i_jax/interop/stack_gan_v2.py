"""Weights of the StackGAN-v2 release (PyTorch state dicts) <-> our modules and variables.

The release keeps G in one file (``netG_210000.pth``) and the discriminator of each scale in one of
its own (``netD0.pth`` ...). All sizes are read off the arrays' shapes; every array is checked by
name, shape and for finite values.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.interop import files
from t2i_jax.interop.published import check, check_fits, empty
from t2i_jax.interop.state_dict import (
    Layers,
    StateDict,
    clean,
    extent,
    numbers,
    to_state_dict,
    to_variables,
)
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator
from t2i_jax.recipes.terms import no_noise

_BASE_SIZE = 64  # the release's first stage always has four up-blocks
_CONDITION = "ca_net.fc.weight"  # only conditional generators have that
_JOIN = "jointConv.0.weight"  # of conditional discriminators
_ENCODER_STEPS = 4  # strided convolutions of ``img_code_s16``


def generator_layers(generator: Generator) -> Layers:
    """The release's layer names and our paths, in the release's order."""
    layers = {"ca_net.fc": ("ca", "fc")} if generator.condition_dim else {}
    layers |= {"h_net1.fc.0": ("stage1", "fc"), "h_net1.fc.1": ("stage1", "bn")}
    for i in range(1, 5):
        layers |= _pair(f"h_net1.upsample{i}", (1, 2), ("stage1", f"up{i}"))
    for stage in range(1, generator.scales + 1):
        if stage > 1:
            theirs, ours = f"h_net{stage}", f"stage{stage}"
            layers |= _pair(f"{theirs}.jointConv", (0, 1), (ours, "join"))
            for i in range(generator.blocks_in(stage)):
                block = f"{theirs}.residual.{i}.block"
                layers |= _pair(block, (0, 1), (ours, f"res{i + 1}", "block1"))
                layers |= _pair(block, (3, 4), (ours, f"res{i + 1}", "block2"))
            layers |= _pair(f"{theirs}.upsample", (1, 2), (ours, "up"))
        layers[f"img_net{stage}.img.0"] = (f"image{stage}",)
    return layers


def _pair(prefix: str, indices: tuple[int, int], path: tuple[str, ...]) -> Layers:
    conv, norm = indices
    return {f"{prefix}.{conv}": (*path, "conv"), f"{prefix}.{norm}": (*path, "bn")}


def _has_text(state: Mapping[str, np.ndarray]) -> bool:
    return any(name.startswith("ca_net.") for name in state)


def generator_of(state: Mapping[str, np.ndarray]) -> Generator:
    """The generator whose state dict this is.

    Raises ValueError where it is none of the release's.
    """
    state = clean(state)
    try:
        condition_dim = extent(state, _CONDITION) // 4 if _has_text(state) else 0
        return Generator(
            channels=extent(state, "h_net1.upsample4.1.weight") // 2,
            condition_dim=condition_dim,
            noise_dim=extent(state, "h_net1.fc.0.weight", 1) - condition_dim,
            residual_blocks=numbers(state, "h_net2.residual.{}.") or 2,
            scales=numbers(state, "h_net{}."),
            base_size=_BASE_SIZE,
        )
    except ValueError as error:
        raise ValueError(f"not a generator of StackGAN-v2: {error}") from error


def import_generator(state: Mapping[str, np.ndarray]) -> tuple[Generator, dict]:
    """(module, variables) of a state dict; ValueError that names what is wrong."""
    generator = generator_of(state)
    layers = generator_layers(generator)
    text = generator.condition_dim
    sentence = jnp.zeros((1, extent(clean(state), _CONDITION, 1))) if text else None

    def init():
        noise = no_noise(generator.noise_shapes)
        return generator.init(jax.random.key(0), noise, sentence, train=False)

    check_fits(state, layers, init, "a generator of StackGAN-v2")
    return generator, to_variables(state, layers)


def export_generator(
    generator: Generator, variables: Mapping[str, Any], counts: bool = True
) -> StateDict:
    """The inverse of `import_generator`; parameters alone, or gradients, do as well.

    counts: with the `num_batches_tracked` that current PyTorch asks for.

    Raises ValueError for a tree that the release cannot express.
    """
    other = generator.heads or generator.last_copies > 1 or generator.same_size
    if other or generator.base_size != _BASE_SIZE:
        raise ValueError(
            "the release only has the plain tree with base_size=64: no heads, last_copies, "
            "same_size"
        )
    return to_state_dict(variables, generator_layers(generator), counts)


def discriminator_layers(image_size: int, conditional: bool) -> Layers:
    """The release's layer names of one scale and our paths in a `ScaleDiscriminator`."""
    steps = image_size.bit_length() - 3  # strided convolutions down to 4x4
    layers = {"img_code_s16.0": ("trunk", "conv1")}
    for i in range(2, min(steps, _ENCODER_STEPS) + 1):
        layers |= _pair("img_code_s16", (3 * i - 4, 3 * i - 3), ("trunk", f"block{i}"))
    for i in range(_ENCODER_STEPS + 1, steps + 1):
        layers |= _pair(f"img_code_s{2**i}", (0, 1), ("trunk", f"block{i}"))
    for i in range(1, steps - _ENCODER_STEPS + 1):
        layers |= _pair(f"img_code_s{2**steps}_{i}", (0, 1), ("trunk", f"block{steps + i}"))
    if not conditional:
        return {**layers, "logits.0": ("uncond_logit", "conv")}
    return {
        **layers,
        "logits.0": ("cond_logit", "conv"),
        **_pair("jointConv", (0, 1), ("join",)),
        "uncond_logits.0": ("uncond_logit", "conv"),
    }


def _image_size(state: Mapping[str, np.ndarray]) -> int:
    deeper = 0
    while f"img_code_s{32 * 2**deeper}.0.weight" in state:
        deeper += 1
    return 64 * 2**deeper


def import_discriminator(states: Sequence[Mapping[str, np.ndarray]]) -> tuple[Discriminator, dict]:
    """(module, variables) of the state dicts of all scales, from low to high resolution.

    Raises ValueError that names what is wrong, or where widths differ from scale to scale.
    """
    states, first = [clean(state) for state in states], "img_code_s16.0.weight"
    try:
        channels = {extent(state, first) for state in states}
        conditions = None
        if all(_JOIN in state for state in states):
            widths = (extent(state, _JOIN, 1) - extent(state, _JOIN) for state in states)
            conditions = [jnp.zeros((1, width)) for width in widths]
    except ValueError as error:
        raise ValueError(f"not a discriminator of StackGAN-v2: {error}") from error
    if len(channels) != 1:
        raise ValueError(f"discriminators of different widths: {sorted(channels)}")
    sizes = tuple(map(_image_size, states))
    module = Discriminator(channels=channels.pop(), image_sizes=sizes)
    images = [jnp.zeros((1, size, size, 3)) for size in sizes]
    made = empty(lambda: module.init(jax.random.key(0), images, conditions, train=False))
    collections: dict[str, dict] = {}
    for i, like in enumerate(export_discriminator(module, made, counts=False)):
        shapes = {name: array.shape for name, array in like.items()}
        check(states[i], shapes, f"a discriminator of StackGAN-v2, {sizes[i]} px")
        layers = discriminator_layers(sizes[i], "uncond_logits.0.weight" in states[i])
        for name, tree in to_variables(states[i], layers).items():
            collections.setdefault(name, {})[f"nets_{i}"] = tree
    return module, collections


def export_discriminator(
    discriminator: Discriminator, variables: Mapping[str, Any], counts: bool = True
) -> list[StateDict]:
    """The inverse of `import_discriminator`: one state dict a scale. Arguments as in
    `export_generator`.
    """
    states = []
    for i, size in enumerate(discriminator.image_sizes):
        tree = {name: nets[f"nets_{i}"] for name, nets in variables.items()}
        conditional = any("join" in modules for modules in tree.values())
        layers = discriminator_layers(size, conditional)
        states.append(to_state_dict(tree, layers, counts))
    return states


PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.scales_reader(import_discriminator),
}
