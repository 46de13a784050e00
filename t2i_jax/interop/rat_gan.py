"""Weights of the RAT-GAN release (PyTorch state dicts) <-> our modules and variables.

The release keeps bare state dicts, ``netG_500.pth`` and ``netD_500.pth``; those of COCO have the
prefix "module.". Sizes are read off the arrays, each of which is checked by name, shape and for
finite values. What no file tells is an argument: how many affine layers of a block are in use, and
how the discriminator's attention is normalised.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from t2i_jax.interop import affine_blocks as blocks
from t2i_jax.interop import files
from t2i_jax.interop.affine_blocks import Layout, layer
from t2i_jax.interop.state_dict import StateDict, clean, extent, numbers
from t2i_jax.models.affine_blocks import widths
from t2i_jax.models.rat_gan import Discriminator, Generator

_CELL = {
    "lstm.W": ("controller", "sentence"),
    "lstm.U": ("controller", "hidden"),
    "lstm.bias": ("controller", "bias"),
    **layer("lstm.noise2h", "controller", "first_hidden"),
    **layer("lstm.noise2c", "controller", "first_cell"),
}
# Of a block's six affine layers, in order of use.
_AFFINES = {4: (0, 1, 2, 3), 6: (0, 1, 4, 2, 3, 5)}
_WIDEST = 16


def generator_layout(generator: Generator, sentence_dim: int) -> Layout:
    """The release's names for a generator.

    Raises ValueError for one that the release does not have.
    """
    if not generator.recurrent or generator.affines not in _AFFINES:
        raise ValueError(
            "the release only has generators with recurrent=True and affines=4 or 6, got "
            f"recurrent={generator.recurrent}, affines={generator.affines}"
        )
    names = _CELL | layer("fc", "decoder", "fc")
    dead, copies = {}, {}
    used = _AFFINES[generator.affines]
    out = [generator.channels * m for m in reversed(widths(generator.image_size, 8))]
    for i, (before, after) in enumerate(zip([out[0], *out], out, strict=False)):
        block = f"block{i}"
        names |= blocks.up_block(
            block,
            "decoder",
            block,
            affines=[f"affine{k}" for k in used],
            shortcut=before != after,
            gated=True,
        )
        for k, width in ((4, before), (5, after)):
            if k not in used:
                dead |= blocks.dead_affine(
                    f"{block}.affine{k}", width, generator.state_dim, generator.state_dim
                )
        dead |= blocks.dead_layer(f"{block}.fea_l", (sentence_dim, before))
        dead |= blocks.dead_layer(f"{block}.fea_ll", (sentence_dim, after))
        copies |= {f"{block}.{name}": name for name in _CELL}
    return Layout(names | layer("conv_img.1", "decoder", "image"), dead, copies)


def import_generator(
    state: Mapping[str, np.ndarray], affines: int = 4
) -> tuple[Generator, dict[str, Any]]:
    """(module, variables) of a state dict.

    affines: 4 for CUB and COCO, 6 for Oxford-102; the files of both have six.

    Raises ValueError where it is none of the release's.
    """
    state = clean(state)
    try:
        sentence_dim = extent(state, "lstm.W")
        generator = Generator(
            channels=extent(state, "conv_img.1.weight", 1),
            image_size=2 * 2 ** numbers(state, "block{}."),
            noise_dim=extent(state, "fc.weight", 1),
            state_dim=extent(state, "lstm.U"),
            affines=affines,
        )
    except ValueError as error:
        raise ValueError(f"not a generator of RAT-GAN: {error}") from error
    layout = generator_layout(generator, sentence_dim)
    like = blocks.shapes_of(generator, sentence_dim, generator.noise_shapes)
    return generator, blocks.read(state, layout, like, "RAT-GAN's generator")


def export_generator(generator: Generator, variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_generator`; gradients do as well. See `affine_blocks.write`.

    Raises ValueError for a generator that the release does not have.
    """
    if "controller" not in variables["params"]:
        raise ValueError("the release only has generators with recurrent=True")
    sentence_dim = variables["params"]["controller"]["sentence"].shape[0]
    return blocks.write(variables, generator_layout(generator, sentence_dim))


def discriminator_layout(discriminator: Discriminator, sentence_dim: int) -> Layout:
    """The release's names for a discriminator."""
    channels = discriminator.channels
    multiples = widths(discriminator.image_size, _WIDEST)
    names, dead, _ = blocks.trunk("block{}", channels, multiples)
    head = "COND_DNET.joint_conv"
    if discriminator.attention == "none":
        return Layout(names | blocks.verdict(head, "fits"), dead)
    # The trunk stops before its last block, which is there all the same.
    last = len(multiples) - 2
    before, after = (channels * m for m in multiples[-2:])
    unused = {name for name, path in names.items() if path[1] == f"block{last}"}
    dead |= {f"block{last}.gamma": (1,)}
    dead |= {f"block{last}.conv_r.0.weight": (after, before, 4, 4)}
    dead |= {f"block{last}.conv_r.2.weight": (after, after, 3, 3)}
    dead |= blocks.dead_layer(f"block{last}.conv_s", (after, before, 1, 1))
    names = {name: path for name, path in names.items() if name not in unused}
    block = blocks.down_block(
        "COND_DNET.block", "fits", "block", width_in=before + sentence_dim, width=after
    )
    names |= blocks.verdict(head, "fits", "verdict") | block.names
    names |= layer("COND_DNET.joint_conv_att.0", "fits", "attend1", bias=False)
    names |= layer("COND_DNET.joint_conv_att.2", "fits", "attend2", bias=False)
    return Layout(names, dead)


def import_discriminator(
    state: Mapping[str, np.ndarray], attention: str = "softmax"
) -> tuple[Discriminator, dict[str, Any]]:
    """(module, variables) of a state dict, with spatial attention or without.

    attention: how the weights of the positions are normalised where there is attention: the
        release's "softmax", or "soft_threshold" for a network trained with the paper's form.

    Raises ValueError where it is none of the release's.
    """
    state = clean(state)
    try:
        count = numbers(state, "block{}.")
        width = extent(state, f"block{count - 1}.conv_r.2.weight")
        sentence_dim = extent(state, "COND_DNET.joint_conv.0.weight", 1) - width
        attentive = "COND_DNET.joint_conv_att.0.weight" in state
        discriminator = Discriminator(
            channels=extent(state, "conv_img.weight"),
            image_size=4 * 2**count,
            attention=attention if attentive else "none",
        )
    except ValueError as error:
        raise ValueError(f"not a discriminator of RAT-GAN: {error}") from error
    size = discriminator.image_size
    like = blocks.shapes_of(discriminator, sentence_dim, (size, size, 3))
    layout = discriminator_layout(discriminator, sentence_dim)
    return discriminator, blocks.read(state, layout, like, "RAT-GAN's discriminator")


def export_discriminator(discriminator: Discriminator, variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_discriminator`. Errors as in `export_generator`."""
    head = variables["params"]["fits"]
    joint = head.get("verdict", head)["conv1"]["kernel"]
    width = discriminator.channels * widths(discriminator.image_size, _WIDEST)[-1]
    return blocks.write(variables, discriminator_layout(discriminator, joint.shape[2] - width))


def load_generator(path: files.Path, affines: int = 4) -> tuple[Generator, dict[str, Any]]:
    """`import_generator` of a file; errors name it."""
    state = files.load_state_dict(path, files.GENERATOR)
    return files.named(path, functools.partial(import_generator, affines=affines), state)


def load_discriminator(
    path: files.Path, attention: str = "softmax"
) -> tuple[Discriminator, dict[str, Any]]:
    """`import_discriminator` of a file; errors name it."""
    state = files.load_state_dict(path, files.DISCRIMINATOR)
    return files.named(path, functools.partial(import_discriminator, attention=attention), state)


PARTS = {"generator": load_generator, "discriminator": load_discriminator}
