"""Times the exact forms of a convolution against XLA's own, shape by shape.

    python launch/layer_forms.py [--batch=16] [--repeats=7] [--cases=strided,square] [--out=FILE]

Prints, for the result and both gradients together, or for what a case computes alone, the
CPU-seconds (on accelerators: seconds) of each form relative to the first, the median of rounds in
which all forms take turns. The thresholds in `t2i_jax.models.convolutions` and
`t2i_jax.models.conv` are read off this table.
"""

import argparse
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from t2i_jax.encoders import pools
from t2i_jax.models import convolutions as forms
from t2i_jax.models.conv import (
    as_product,
    conv,
    direct,
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
            "as_blocks": forms.as_blocks,
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

    def plain(x, dy):
        kernel = jax.ShapeDtypeStruct((3, 3, x.shape[-1], dy.shape[-1]), x.dtype)
        return jax.linear_transpose(lambda kernel: direct(x, kernel), kernel)(dy)[0]

    every = {
        "direct": plain,
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

    def of(form):
        def gradient(dy, kernel):
            x = jax.ShapeDtypeStruct((*dy.shape[:3], kernel.shape[2]), dy.dtype)
            return jax.linear_transpose(lambda x: form(x, kernel), x)(dy)[0]

        return gradient

    return [
        Case(
            f"input gradient 3x3, {side} px, {c} -> {o}",
            ((batch, side, side, o), (3, 3, c, o)),
            {"direct": of(direct), "as_product": of(as_product)},
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
    "joint": joint,
    "upsampled": upsampled,
    "kernels": kernels,
    "inputs": inputs,
    "unpadded": unpadded,
    "pools": pooled,
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 where they are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", default=",".join(KINDS), help="of " + ", ".join(KINDS))
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args(argv)
    args.cases = args.cases.split(",")
    if unknown := [name for name in args.cases if name not in KINDS]:
        parser.error(f"--cases has {unknown}; known: {', '.join(KINDS)}")
    return args


def main() -> None:
    """Prints the table; writes it as JSON where asked to."""
    args = parse()
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    rows = []
    for name in args.cases:
        for case in KINDS[name](args.batch):
            seconds = measure(case, args.repeats, clock)
            first = next(iter(seconds.values()))
            rows.append({"case": case.title, "seconds": seconds})
            ratios = "  ".join(f"{form} {s / first:.2f}" for form, s in seconds.items())
            print(f"{case.title:34} {1e3 * first:8.1f} ms  {ratios}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds by form; all forms take turns."""
    rng = np.random.default_rng(0)
    inputs = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in case.shapes]
    compiled = {}
    for name, form in case.forms.items():

        def all_of(*inputs, form=form):
            y, pull = jax.vjp(form, *inputs)
            return y, pull(y)

        compiled[name] = jax.jit(form if case.alone else all_of).lower(*inputs).compile()
        jax.block_until_ready(compiled[name](*inputs))
    times = {name: [] for name in compiled}
    for _ in range(repeats):
        for name, call in compiled.items():
            begin = clock()
            jax.block_until_ready(call(*inputs))
            times[name].append(clock() - begin)
    return {name: float(np.median(values)) for name, values in times.items()}


if __name__ == "__main__":
    main()
