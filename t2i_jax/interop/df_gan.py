"""Weights of the DF-GAN releases (PyTorch state dicts) <-> our modules and variables.

The CVPR release keeps ``{"model": {"netG": ..., "netD": ..., "netC": ...}, ...}`` in one file
(``state_epoch_1220.pth``); that of 2020 has a bare state dict a network (``netG.pth``), whose
discriminator is RAT-GAN's without attention. Versions and sizes are read off names and shapes;
every array is checked by name, shape and for finite values.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from t2i_jax.interop import affine_blocks as blocks
from t2i_jax.interop import files
from t2i_jax.interop.affine_blocks import Layout, layer
from t2i_jax.interop.state_dict import StateDict, clean, extent, numbers
from t2i_jax.models.affine_blocks import widths
from t2i_jax.models.df_gan import Discriminator, Generator

_BLOCKS = {"2022": "GBlocks.{}", "2020": "block{}"}
_IMAGE = {"2022": "to_rgb.1", "2020": "conv_img.1"}
_AFFINES = {
    "2022": ["fuse1.affine0", "fuse1.affine1", "fuse2.affine0", "fuse2.affine1"],
    "2020": ["affine0", "affine1", "affine2", "affine3"],
}
_WIDEST = {"2022": 8, "2020": 16}


def generator_layout(generator: Generator) -> Layout:
    """The releases' names for a generator; ValueError for one that they do not have."""
    version, affines = generator.version, _AFFINES[generator.version]
    if generator.affines != len(affines) or (generator.affine_dim == 0) != (version == "2022"):
        raise ValueError(
            "the releases only have generators with affines=4, and with affine_dim=0 in version "
            f"2022 alone, got version={version}, affines={generator.affines}, "
            f"affine_dim={generator.affine_dim}"
        )
    out = [generator.channels * m for m in reversed(widths(generator.image_size, 8))]
    pairs = list(zip(out, out[1:], strict=False))
    names = layer("fc", "decoder", "fc")
    for i, (before, after) in enumerate(pairs if version == "2022" else [(out[0],) * 2, *pairs]):
        names |= blocks.up_block(
            _BLOCKS[version].format(i),
            "decoder",
            f"block{i}",
            affines=affines,
            shortcut=before != after,
            gated=version == "2020",
        )
    return Layout(names | layer(_IMAGE[version], "decoder", "image"))


def import_generator(state: Mapping[str, np.ndarray]) -> tuple[Generator, dict[str, Any]]:
    """(module, variables) of a state dict of either version.

    Raises ValueError where it is none of the releases'.
    """
    state = clean(state)
    version = "2022" if "to_rgb.1.weight" in state else "2020"
    count = numbers(state, _BLOCKS[version] + ".")
    first = f"{_BLOCKS[version].format(0)}.{_AFFINES[version][0]}.fc_gamma.linear1.weight"
    try:
        noise_dim = extent(state, "fc.weight", 1)
        hidden, condition = extent(state, first), extent(state, first, 1)
        generator = Generator(
            channels=extent(state, f"{_IMAGE[version]}.weight", 1),
            image_size=(4 if version == "2022" else 2) * 2**count,
            noise_dim=noise_dim,
            version=version,
            affine_dim=0 if version == "2022" else hidden,
        )
    except ValueError as error:
        raise ValueError(f"not a generator of DF-GAN: {error}") from error
    sentence_dim = condition - noise_dim if version == "2022" else condition
    like = blocks.shapes_of(generator, sentence_dim, generator.noise_shapes)
    return generator, blocks.read(state, generator_layout(generator), like, "DF-GAN's generator")


def export_generator(generator: Generator, variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_generator`; gradients do as well.

    Raises ValueError for a generator that the releases do not have.
    """
    return blocks.write(variables, generator_layout(generator))


def discriminator_layout(discriminator: Discriminator) -> Layout:
    """The releases' names for a discriminator. Those of 2022 are "netD." or "netC.", after the
    dict that they stand in, and then the name.
    """
    multiples = widths(discriminator.image_size, _WIDEST[discriminator.version])
    if discriminator.version == "2020":
        trunk = blocks.trunk("block{}", discriminator.channels, multiples)
        return Layout(trunk.names | blocks.verdict("COND_DNET.joint_conv", "fits"), trunk.dead)
    names, dead, _ = blocks.trunk("DBlocks.{}", discriminator.channels, multiples)
    names = {f"netD.{name}": path for name, path in names.items()}
    dead = {f"netD.{name}": shape for name, shape in dead.items()}
    return Layout(names | blocks.verdict("netC.joint_conv", "fits"), dead)


def import_discriminator(
    net_d: Mapping[str, np.ndarray], net_c: Mapping[str, np.ndarray] | None = None
) -> tuple[Discriminator, dict[str, Any]]:
    """(module, variables) of the state dicts of netD and netC, or of the one of 2020.

    Raises ValueError where they are none of the releases'.
    """
    state = clean(net_d)
    if net_c is None:
        version, head, block = "2020", "COND_DNET.joint_conv.0.weight", "block{}"
    else:
        version, head, block = "2022", "netC.joint_conv.0.weight", "netD.DBlocks.{}"
        state = {f"netD.{name}": array for name, array in state.items()}
        state |= {f"netC.{name}": array for name, array in clean(net_c).items()}
    try:
        count = numbers(state, block + ".")
        width = extent(state, f"{block.format(count - 1)}.conv_r.2.weight")
        sentence_dim = extent(state, head, 1) - width
        first = "conv_img.weight" if version == "2020" else "netD.conv_img.weight"
        discriminator = Discriminator(
            channels=extent(state, first), image_size=4 * 2**count, version=version
        )
    except ValueError as error:
        raise ValueError(f"not a discriminator of DF-GAN: {error}") from error
    size = discriminator.image_size
    like = blocks.shapes_of(discriminator, sentence_dim, (size, size, 3))
    return discriminator, blocks.read(
        state, discriminator_layout(discriminator), like, "DF-GAN's discriminator"
    )


def export_discriminator(
    discriminator: Discriminator, variables: Mapping[str, Any]
) -> dict[str, StateDict]:
    """The inverse of `import_discriminator`: state dicts by name, "netD" and, for 2022, "netC".
    See `affine_blocks.write`.

    Raises ValueError for a discriminator that the releases do not have.
    """
    state = blocks.write(variables, discriminator_layout(discriminator))
    if discriminator.version == "2020":
        return {"netD": state}
    return {
        net: {
            name.removeprefix(f"{net}."): array
            for name, array in state.items()
            if name.startswith(f"{net}.")
        }
        for net in ("netD", "netC")
    }


def load_discriminator(path: files.Path) -> tuple[Discriminator, dict[str, Any]]:
    """`import_discriminator` of a release's file of either version; errors name the file."""
    content = files.load(path)
    content = content.get("model", content) if isinstance(content, Mapping) else content
    if isinstance(content, Mapping) and "netC" in content:
        nets = [files.load_state_dict(path, ("model", net)) for net in ("netD", "netC")]
    else:
        nets = [files.load_state_dict(path, files.DISCRIMINATOR)]
    return files.named(path, lambda nets: import_discriminator(*nets), nets)


PARTS = {
    "generator": files.reader(import_generator, "model", *files.GENERATOR),
    "discriminator": load_discriminator,
}
