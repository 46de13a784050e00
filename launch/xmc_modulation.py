"""What XMC-GAN's modulation by words saves: a training step with its maps computed a word at a time
(`t2i_jax.models.modulation`) against one with maps computed at every position of every resolution,
as the equations are written.

    python launch/xmc_modulation.py --steps=5 --out=modulation.json

For the release's form and the paper's: first the largest difference between the images that one
generator draws both ways, then the CPU-seconds of `--steps` training steps of each kind, one of
either in turn. Two updates of D and one of G, in float32, without an image network; the sizes are
the release's where options do not say otherwise.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.models import xmc_gan
from t2i_jax.models.convolutions import upsample_nearest
from t2i_jax.models.modulation import GLOROT, ModulatedNorm
from t2i_jax.profiling.step_time import Workload, make_workload
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import fresh_state, make_step
from t2i_jax.types import Text

CONFIG = pathlib.Path(__file__).resolve().parent.parent / "configs" / "xmc_gan.py"
FORMS = {"released": "cub_released", "paper": "cub"}


class Pointwise(nn.Module):
    """nn.Dense's parameters in a 1x1 convolution, which is what the release has."""

    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", GLOROT, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        kernel, bias = kernel.astype(self.dtype)[None, None], bias.astype(self.dtype)
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout) + bias


class NormByPosition(ModulatedNorm):
    """The same parameters and function: every position's mean of the words, next to the condition,
    at the resolution of the norm, and 1x1 convolutions of that.
    """

    def _map(self, name, caption, attention, shape):
        if attention is None:
            return super()._map(name, caption, attention, shape)
        means = jnp.einsum("bhwt,bte->bhwe", attention.astype(self.dtype), caption.words)
        condition = jnp.broadcast_to(
            caption.condition[:, None, None], (*means.shape[:3], caption.condition.shape[-1])
        )
        conditions = jnp.concatenate([means, condition.astype(means.dtype)], axis=-1)
        conditions = upsample_nearest(conditions, shape[1] // means.shape[1])
        return Pointwise(shape[-1], dtype=self.dtype, name=name)(conditions)


# How modules are traced that make their maps so.
KINDS = {
    "by word": contextlib.nullcontext,
    "by position": lambda: mock.patch.object(xmc_gan, "ModulatedNorm", NormByPosition),
}


def main() -> None:
    """Prints one table a form."""
    args = parse()
    found = {}
    for form in args.form:
        work = workload(form, args)
        system = work.system
        state = fresh_state(system.recipe, work.options, work.batch, system.variables).values()
        variables = {"params": state.params["g"], **state.stats["g"]}
        difference, deviation = largest_difference(
            system.recipe.generator, variables, args.rows, args.words, args.width
        )
        print(f"{form}: images (deviation {deviation:.2f}) differ by {difference:.1e}", flush=True)
        found[form] = {"difference": difference, **time_steps(work, state, args.steps)}
        for kind, row in found[form].items():
            if kind in KINDS:
                seconds = ", ".join(f"{x:.2f}" for x in row["seconds"])
                print(f"  {kind:<12} {row['flops'] / 1e9:,.4g} GFLOP  CPU-seconds: {seconds}")
        print(f"  ratio of medians: {found[form]['ratio']:.2f}", flush=True)
    if args.out:
        paths.write_bytes(paths.path(args.out), f"{json.dumps(found, indent=2)}\n".encode())


def parse(argv=None) -> argparse.Namespace:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--form", action="append", choices=FORMS, help="default: both")
    add("--size", type=int, default=128, help="side of the images")
    add("--channels", type=int, default=96)
    add("--rows", type=int, default=2, help="of each of the two sub-batches")
    add("--width", type=int, default=768, help="of sentence and word vectors")
    add("--words", type=int, default=17)
    add("--steps", type=int, default=5, help="timed steps of each kind")
    add("--out", help="also write the numbers as JSON")
    args = parser.parse_args(argv)
    args.form = args.form or list(FORMS)
    return args


def workload(form: str, args: argparse.Namespace) -> Workload:
    """The form's training on noise, with an untrained text encoder."""
    config = configs.load(f"{CONFIG}:{FORMS[form]}")
    config.dtype = "float32"
    config.frozen = {}
    config.loss.g.image_network = 0.0
    for player in (config.generator, config.discriminator):
        player.update({"channels": args.channels, "image_size": args.size})
    config.data.update({"size": args.size, "batch": args.rows, "data_dir": "nowhere"})
    config.recipe.group = 0
    config.tokenizer.length = args.words
    config.encoder.update({"source": "random", "fields": {"embedding": args.width}})
    return make_workload(config)


def largest_difference(
    generator: xmc_gan.Generator, variables: Mapping[str, Any], rows: int, words: int, width: int
) -> tuple[float, float]:
    """(between images in [-1, 1] that the generator draws both ways, their standard deviation)."""
    rng = np.random.default_rng(0)
    noise = {"z": rng.normal(size=(rows, generator.noise_dim)).astype(np.float32)}
    text = Text(
        rng.normal(size=(rows, width)).astype(np.float32),
        rng.normal(size=(rows, words, width)).astype(np.float32),
        np.ones((rows, words), bool),
    )

    @jax.jit
    def draw(variables):
        drawn = []
        for traced in KINDS.values():
            with traced():
                drawn.append(generator.apply(variables, noise, *text, train=False).images[0])
        return jnp.max(jnp.abs(drawn[0] - drawn[1])), jnp.std(drawn[0])

    difference, deviation = draw(variables)
    return float(difference), float(deviation)


def time_steps(work: Workload, state: TrainState, steps: int) -> dict:
    """By kind: FLOPs of the compiled step and the CPU-seconds of every one; and their ratio."""
    batch = {k: np.stack([v] * work.options.d_steps) for k, v in work.batch.items()}
    frozen = work.system.in_step(work.system.variables)
    compiled, seconds = {}, {kind: [] for kind in KINDS}
    for kind, traced in KINDS.items():
        step = make_step(work.system.recipe, work.options)
        with traced():
            compiled[kind] = jax.jit(lambda *a, step=step: step(*a)).lower(state, batch, frozen)
        compiled[kind] = compiled[kind].compile()
        jax.block_until_ready(compiled[kind](state, batch, frozen))  # the first is not timed
    for _ in range(steps):
        for kind, call in compiled.items():
            begin = time.process_time()
            jax.block_until_ready(call(state, batch, frozen))
            seconds[kind].append(time.process_time() - begin)
    medians = [statistics.median(seconds[kind]) for kind in ("by position", "by word")]
    rows = {
        kind: {"flops": call.cost_analysis()["flops"], "seconds": seconds[kind]}
        for kind, call in compiled.items()
    }
    return {**rows, "ratio": medians[0] / medians[1]}


if __name__ == "__main__":
    main()
