"""Layers whose exact forms `launch/layer_forms.py` times, by kind."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from t2i_jax.encoders import pools
from t2i_jax.models import convolutions as forms
from t2i_jax.models import winograd
from t2i_jax.models.conv import conv
from t2i_jax.models.conv_forms import (
    as_product,
    direct,
    in_blocks,
    kernel_gradient_by_strips,
    kernel_gradient_by_taps,
    kernel_gradient_of_few,
)

VECTOR = 128  # of a sentence


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer. forms: by name, of the inputs, such as (x, kernel). alone: the forms' results are
    timed without gradients.
    """

    title: str
    shapes: tuple[tuple[int, ...], ...]
    forms: Mapping[str, Callable]
    alone: bool = False


def strided(batch: int) -> list[Case]:
    """4x4, stride 2: the halving layers of discriminators."""
    cases = []
    for side, c in ((128, 64), (64, 64), (64, 128), (32, 128), (32, 256), (16, 256), (16, 512)):
        cases.append(_strided(batch, side, c))
    return [*cases, _strided(batch, 8, 512), _strided(batch, 8, 1024)]


def _strided(batch: int, side: int, c: int) -> Case:
    return Case(
        f"4x4 /2, {side} px, {c} -> {2 * c}",
        ((batch, side, side, c), (4, 4, c, 2 * c)),
        {
            "direct": lambda x, k: direct(x, k, 2),
            "own gradients": lambda x, k: conv(x, k, 2),
            "as_product": lambda x, k: as_product(x, k, 2),
            "in_blocks": lambda x, k: conv(*in_blocks(x, k), 1, 0),
        },
    )


def square(batch: int) -> list[Case]:
    """3x3, stride 1."""
    sizes = ((4, 2048, 1024), (4, 1024, 512), (4, 512, 512), (4, 256, 256), (8, 512, 512))
    sizes += ((8, 256, 256), (16, 256, 256), (32, 128, 128), (64, 64, 64))
    return [
        Case(
            f"3x3, {side} px, {c} -> {o}",
            ((batch, side, side, c), (3, 3, c, o)),
            {"direct": direct, "as_product": as_product},
        )
        for side, c, o in sizes
    ]


def filtered(batch: int) -> list[Case]:
    """Minimal filtering of 3x3 and 2x2: result and gradients, each by itself."""
    cases = []
    sizes = ((3, 64, 64, 64), (3, 64, 64, 128), (3, 64, 96, 96), (3, 64, 128, 128))
    sizes += ((3, 32, 64, 128), (3, 32, 256, 256), (3, 16, 512, 512), (3, 8, 512, 512))
    sizes += ((3, 4, 1024, 1024), (2, 64, 128, 256), (2, 32, 256, 512), (2, 16, 256, 1024))
    for taps, side, c, o in sizes:
        x, kernel = (batch, side, side, c), (taps, taps, c, o)
        y = (batch, side + 3 - taps, side + 3 - taps, o)
        size = f"{taps}x{taps}, {side} px, {c} -> {o}"
        cases += [
            Case(f"{size}: result", (x, kernel), _pair(direct, winograd.convolve), True),
            Case(
                f"{size}: input gradient",
                (y, kernel),
                _pair(_of_input(direct, side), winograd.input_gradient),
                True,
            ),
            Case(f"{size}: kernel gradient", (x, y), _gradients_of_kernel(taps), True),
        ]
    return cases


def _gradients_of_kernel(taps: int) -> dict[str, Callable]:
    # XLA:CPU's own of 2x2 takes a hundred times as long.
    plain = {"direct": _of_kernel(direct, 3)} if taps == 3 else {}
    return {
        **plain,
        "by_taps": functools.partial(kernel_gradient_by_taps, size=taps),
        "filtered": functools.partial(winograd.kernel_gradient, taps=taps),
    }


def _pair(plain: Callable, filtered: Callable) -> dict[str, Callable]:
    return {"direct": plain, "filtered": filtered}


def _of_input(form: Callable, side: int) -> Callable:
    """The input gradient of a form, for a map of this side."""

    def gradient(dy, kernel):
        x = jax.ShapeDtypeStruct((len(dy), side, side, kernel.shape[2]), dy.dtype)
        return jax.linear_transpose(lambda x: form(x, kernel), x)(dy)[0]

    return gradient


def _of_kernel(form: Callable, taps: int) -> Callable:
    """The kernel gradient of a form."""

    def gradient(x, dy):
        kernel = jax.ShapeDtypeStruct((taps, taps, x.shape[-1], dy.shape[-1]), x.dtype)
        return jax.linear_transpose(lambda kernel: form(x, kernel), kernel)(dy)[0]

    return gradient


def joint(batch: int) -> list[Case]:
    """3x3 over features and a sentence at every position."""

    def tiled(x, vector, k):
        return direct(jnp.concatenate([forms.tile_to(vector, x), x], -1), k)

    def joined(x, vector, k):
        return forms.convolve(forms.Joined((vector, x)), k)

    return [
        Case(
            f"joint 3x3, {side} px, {VECTOR} + {c} -> {o}",
            ((batch, side, side, c), (batch, VECTOR), (3, 3, VECTOR + c, o)),
            {"tiled": tiled, "joined": joined},
        )
        for side, c, o in ((4, 512, 512), (16, 128, 512), (64, 64, 128), (128, 32, 64))
    ]


def upsampled(batch: int) -> list[Case]:
    """Nearest neighbours x 2, then 3x3."""

    def large(x, k):
        return direct(forms.upsample_nearest(x), k)

    sizes = ((4, 1024, 1024), (4, 256, 256), (8, 512, 512), (16, 256, 256), (32, 128, 128))
    return [
        Case(
            f"x2 and 3x3, {side} px, {c} -> {o}",
            ((batch, side, side, c), (3, 3, c, o)),
            {"upsampled": large, "convolve_upsampled": forms.convolve_upsampled},
        )
        for side, c, o in (*sizes, (64, 64, 64), (128, 32, 32))
    ]


def kernels(batch: int) -> list[Case]:
    """The kernel gradient of 3x3, of a map and the result's gradient."""

    every = {
        "direct": _of_kernel(direct, 3),
        "by_taps": lambda x, dy: kernel_gradient_by_taps(x, dy, 3),
        "of_few": kernel_gradient_of_few,
        "by_strips": kernel_gradient_by_strips,
    }
    sizes = ((128, 64, 128), (256, 32, 32), (128, 32, 32), (128, 64, 64), (256, 16, 8))
    sizes += ((128, 32, 3), (256, 32, 3), (128, 32, 8), (128, 32, 16))
    return [
        Case(
            f"kernel gradient 3x3, {side} px, {c} -> {o}",
            ((batch, side, side, c), (batch, side, side, o)),
            every if o <= 16 else {k: v for k, v in every.items() if k != "of_few"},
            alone=True,
        )
        for side, c, o in sizes
    ]


def inputs(batch: int) -> list[Case]:
    """The input gradient of 3x3, of the result's gradient and the kernel."""

    return [
        Case(
            f"input gradient 3x3, {side} px, {c} -> {o}",
            ((batch, side, side, o), (3, 3, c, o)),
            {"direct": _of_input(direct, side), "as_product": _of_input(as_product, side)},
            alone=True,
        )
        for side, c, o in ((4, 256, 256), (8, 512, 512), (8, 256, 256), (16, 256, 256))
    ]


def unpadded(batch: int) -> list[Case]:
    """3x3 without padding, of Inception-v3: the result alone."""
    return [
        Case(
            f"3x3 without padding, {side} px, {c} -> {o}",
            ((batch, side, side, c), (3, 3, c, o)),
            {
                "direct": lambda x, k: direct(x, k, 1, 0),
                "cut": lambda x, k: direct(x, k)[:, 1:-1, 1:-1],
            },
            alone=True,
        )
        for side, c, o in ((149, 32, 32), (73, 80, 192))
    ]


def pooled(batch: int) -> list[Case]:
    """Inception-v3's pools of 3x3 positions."""
    maxima = {"windows": lambda x: nn.max_pool(x, (3, 3), (2, 2)), "maps": pools.halving_maximum}
    sums = {"windows": _window_sums, "maps": pools.sums}
    sizes = ((147, 64), (71, 192), (35, 288))
    cases = [Case(f"maxima, {h} px, {c}", ((batch, h, h, c),), maxima) for h, c in sizes]
    sizes = ((35, 256), (17, 768), (8, 1280))
    return cases + [Case(f"sums, {h} px, {c}", ((batch, h, h, c),), sums) for h, c in sizes]


def _window_sums(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")


KINDS = {
    "strided": strided,
    "square": square,
    "filtered": filtered,
    "joint": joint,
    "upsampled": upsampled,
    "kernels": kernels,
    "inputs": inputs,
    "unpadded": unpadded,
    "pools": pooled,
}
