"""Weights of StackGAN-v1's PyTorch release (state dicts) <-> our modules and variables.

A Stage-II generator's file holds the Stage-I generator too, under "STAGE1_G."; so do our variables,
in the collection "stage1". All sizes are read off the arrays' shapes; every array is checked by
name, shape and for finite values.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.interop import files
from t2i_jax.interop.published import check_fits
from t2i_jax.interop.state_dict import (
    Layers,
    StateDict,
    clean,
    extent,
    numbers,
    to_state_dict,
    to_variables,
)
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator, Stage2Generator
from t2i_jax.recipes.terms import no_noise

_INNER = "STAGE1_G."
_LOW_SIZE = 64


def _pair(prefix: str, indices: tuple[int, int], path: tuple[str, ...]) -> Layers:
    conv, norm = indices
    return {f"{prefix}.{conv}": (*path, "conv"), f"{prefix}.{norm}": (*path, "bn")}


def _up_layers() -> Layers:
    """The release always has four up-blocks."""
    layers = {}
    for i in range(1, 5):
        layers |= _pair(f"upsample{i}", (1, 2), ("up", f"up{i}"))
    return {**layers, "img.0": ("up", "image")}


def generator_layers() -> Layers:
    """Stage I: the release's layer names and our paths, in the release's order."""
    first = {"ca_net.fc": ("ca", "fc"), "fc.0": ("fc",), "fc.1": ("bn",)}
    return {**first, **_up_layers()}


def stage2_layers(residual_blocks: int) -> Layers:
    """Stage II without Stage I: the release's layer names and our paths."""
    layers = {"ca_net.fc": ("ca", "fc"), "encoder.0": ("down1",)}
    layers |= _pair("encoder", (2, 3), ("down2",)) | _pair("encoder", (5, 6), ("down3",))
    layers |= _pair("hr_joint", (0, 1), ("join",))
    for i in range(residual_blocks):
        layers |= _pair(f"residual.{i}.block", (0, 1), (f"res{i + 1}", "block1"))
        layers |= _pair(f"residual.{i}.block", (3, 4), (f"res{i + 1}", "block2"))
    return {**layers, **_up_layers()}


def discriminator_layers(image_size: int) -> Layers:
    """The release's layer names and our paths, at 64 px (Stage I) and 256 px (Stage II)."""
    blocks = {64: 4, 256: 8}[image_size]
    layers = {"encode_img.0": ("trunk", "conv1")}
    for i in range(2, blocks + 1):
        layers |= _pair("encode_img", (3 * i - 4, 3 * i - 3), ("trunk", f"block{i}"))
    layers |= _pair("get_cond_logits.outlogits", (0, 1), ("join",))
    layers["get_cond_logits.outlogits.3"] = ("cond_logit", "conv")
    if image_size == 256:
        layers["get_uncond_logits.outlogits.0"] = ("uncond_logit", "conv")
    return layers


def import_generator(state: Mapping[str, np.ndarray]) -> tuple[Generator, dict]:
    """(Stage I, variables) of a state dict of either stage; ValueError that names what is wrong."""
    state = clean(state)
    inner = {k.removeprefix(_INNER): v for k, v in state.items() if k.startswith(_INNER)}
    state = inner or state
    try:
        condition_dim = extent(state, "ca_net.fc.weight") // 2
        module = Generator(
            image_size=_LOW_SIZE,
            channels=2 * extent(state, "upsample4.1.weight"),
            condition_dim=condition_dim,
            noise_dim=extent(state, "fc.0.weight", 1) - condition_dim,
            activation="relu",
        )
        sentence = jnp.zeros((1, extent(state, "ca_net.fc.weight", 1)))
    except ValueError as error:
        raise ValueError(f"not a generator of StackGAN-v1: {error}") from error

    def init():
        return module.init(jax.random.key(0), no_noise(module.noise_shapes), sentence, train=False)

    check_fits(state, generator_layers(), init, "Stage I of StackGAN-v1")
    return module, to_variables(state, generator_layers())


def import_stage2(
    state: Mapping[str, np.ndarray],
) -> tuple[Generator, Stage2Generator, dict]:
    """(Stage I, Stage II, variables with the collection "stage1") of a Stage-II state dict;
    ValueError that names what is wrong.
    """
    state = clean(state)
    if not any(name.startswith(_INNER) for name in state):
        raise ValueError(
            f"this is not the state dict of Stage II of StackGAN-v1: it has no {_INNER}*, its "
            "Stage I"
        )
    stage1, inner = import_generator(state)
    own = {k: v for k, v in state.items() if not k.startswith(_INNER)}
    blocks = numbers(own, "residual.{}.")
    module = Stage2Generator(
        image_size=4 * _LOW_SIZE,
        channels=extent(own, "encoder.0.weight"),
        condition_dim=extent(own, "ca_net.fc.weight") // 2,
        residual_blocks=blocks,
        activation="relu",
    )
    low, sentence = jnp.zeros((1, 64, 64, 3)), jnp.zeros((1, extent(own, "ca_net.fc.weight", 1)))

    def init():
        return module.init(
            jax.random.key(0), low, no_noise(module.noise_shapes), sentence, train=False
        )

    check_fits(own, stage2_layers(blocks), init, "Stage II of StackGAN-v1")
    return stage1, module, {**to_variables(own, stage2_layers(blocks)), "stage1": inner}


def export_generator(variables: Mapping[str, Any], counts: bool = True) -> StateDict:
    """The inverse of `import_generator`; parameters alone, or gradients, do as well.

    counts: with the `num_batches_tracked` that current PyTorch asks for.
    """
    return to_state_dict(variables, generator_layers(), counts)


def export_stage2(
    module: Stage2Generator, variables: Mapping[str, Any], counts: bool = True
) -> StateDict:
    """The inverse of `import_stage2`, with Stage I where the variables have it."""
    own = {name: tree for name, tree in variables.items() if name != "stage1"}
    inner = variables.get("stage1", {})
    state = {_INNER + k: v for k, v in export_generator(inner, counts).items()}
    return {**state, **to_state_dict(own, stage2_layers(module.residual_blocks), counts)}


def import_discriminator(state: Mapping[str, np.ndarray]) -> tuple[Discriminator, dict]:
    """(module, variables) of a state dict of either stage; ValueError that names what is wrong."""
    state = clean(state)
    image_size = 256 if "encode_img.20.weight" in state else 64
    layers = discriminator_layers(image_size)
    joint = "get_cond_logits.outlogits.0.weight"
    try:
        module = Discriminator(
            image_size=image_size,
            channels=extent(state, "encode_img.0.weight"),
            text_dim=0,
            join_kernel=3,
            unconditional=image_size == 256,
        )
        condition = jnp.zeros((1, extent(state, joint, 1) - extent(state, joint)))
    except ValueError as error:
        raise ValueError(f"not a discriminator of StackGAN-v1: {error}") from error
    images = jnp.zeros((1, image_size, image_size, 3))

    def init():
        return module.init(jax.random.key(0), images, condition, train=False)

    check_fits(state, layers, init, "a discriminator of StackGAN-v1")
    return module, to_variables(state, layers)


def export_discriminator(
    module: Discriminator, variables: Mapping[str, Any], counts: bool = True
) -> StateDict:
    """The inverse of `import_discriminator`. Arguments as in `export_generator`."""
    return to_state_dict(variables, discriminator_layers(module.image_size), counts)


PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.reader(import_discriminator, *files.DISCRIMINATOR),
}
