"""The step of a tree of this library, today's or an older one's, as its training loop runs it.

Trees differ in where things are: `_first` takes what is there.
"""

import importlib
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ratios.usage import timed

# No folder of data, so that batches are noise; no text encoder that somebody has trained.
_NOTHING = {"data.data_dir": "nowhere", "encoder.source": "nowhere"}


def build(job: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], dict[str, float]]]:
    """(what building took and gave, a function that runs one step and returns its metrics).

    job: ``tree``, the folder; ``config``, ``"NAME:arg"`` or ``"FILE.py:arg"``; ``overrides``.
    Raises ValueError or OSError for a config that the tree does not have.
    """
    tree = job["tree"]
    if keep_freed := _first(tree, "t2i_jax.training.freed_memory:keep"):
        keep_freed()
    config = load(tree, job["config"], {**_NOTHING, **job["overrides"]})
    make_workload = _first(
        tree,
        "t2i_jax.profiling.step_time:make_workload",
        "t2i_jax.training.benchmarks:make_workload",
    )
    from t2i_jax.training import step as steps
    from t2i_jax.training.parallel import make_parallel

    work = make_workload(config)
    system, config = work.system, work.system.config
    variables = getattr(system, "variables", system.frozen)
    parallel = make_parallel(config.parallel, config.fsdp)
    jax.block_until_ready(jax.numpy.zeros(1) + 1)  # starts the backend

    def first_state():
        if hasattr(steps, "fresh_state"):  # older trees compile the whole of `init_state`
            state = steps.fresh_state(system.recipe, work.options, work.batch, variables).values()
            if forget := _first(tree, "t2i_jax.training.fresh:forget"):
                forget()
            return state
        init = jax.jit(lambda f: steps.init_state(system.recipe, work.options, work.batch, f))
        return jax.block_until_ready(init(variables))

    init, state = timed(first_state)
    sizes = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in state.params.items()}
    state = parallel.put_state(jax.device_get(state))
    frozen = {k: v for k, v in variables.items() if k != "encoder_start"}
    if hasattr(system, "in_step"):
        frozen = system.in_step(variables)
    frozen = parallel.put_state(frozen)
    stacked = {k: np.stack([v] * config.d_steps) for k, v in work.batch.items()}
    batch = parallel.put_batch(stacked)
    step = steps.make_step(system.recipe, work.options, parallel.axis_name)
    compiling, compiled = timed(lambda: parallel.compile(step, state, batch, frozen))
    count = _first(tree, "t2i_jax.profiling.flops:of_step")  # older trees count in `compile`

    def flops():
        if count is None:
            return compiled.flops
        return count(system.recipe, work.options, shapes, stacked, frozen)

    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    return {
        "init": init["cpu"],
        "compile": compiling["cpu"],
        "parameters": sizes,
        "program_bytes": compiled.peak_bytes,
        "config": config.to_dict(),
        "rows": work.data.batch,
        "words": 0 if system.tokenizer is None else system.tokenizer.length,
        "versions": {"jax": jax.__version__},
    }, _Step(compiled.call, flops, state, batch, frozen)


class _Step:
    """The compiled step on one batch. Holds the one state, which every step gives away.

    flops: counts them; it takes memory, and is asked when all else is measured.
    """

    def __init__(
        self, call: Callable, flops: Callable[[], float], state: Any, batch: Any, frozen: Any
    ):
        self._call, self._state, self._rest = call, state, (batch, frozen)
        self.flops = flops

    def __call__(self) -> dict[str, float]:
        """Runs one step and waits for it; its metrics."""
        self._state, metrics = jax.block_until_ready(self._call(self._state, *self._rest))
        return {name: float(x) for name, x in metrics.items()}


def load(tree: str, spec: str, overrides: dict[str, Any]):
    """The config of a tree with overrides; ValueError or OSError where it has no such config."""
    import t2i_jax

    found = pathlib.Path(t2i_jax.__file__).resolve().parent.parent
    if found != pathlib.Path(tree).resolve():
        raise ValueError(f"t2i_jax was imported from {found}, not from {tree}")
    name, _, arg = spec.partition(":")
    file = (
        pathlib.Path(name) if name.endswith(".py") else pathlib.Path(tree, "configs", f"{name}.py")
    )
    if not file.is_file():
        known = ", ".join(sorted(p.stem for p in file.parent.glob("*.py")))
        raise ValueError(f"no config {name!r} in {file.parent}, which has {known or 'none'}")
    spec = f"{file}:{arg}" if arg else str(file)
    if resolve := _first(tree, "t2i_jax.training.fields:resolve"):
        return _untrained(resolve(spec, overrides).config)
    from t2i_jax import config as configs

    return configs.override(configs.load(spec), overrides)


def _untrained(config):
    """With random weights in its frozen networks."""
    for name, source in config.frozen.items():
        if source:
            config.frozen[name] = "random"
    return config


def _first(tree: str, *places: str) -> Any:
    """The first of ``"module:name"`` that is in this tree; None where none is.

    By its file: an editable installation also finds modules that an older tree lacks, in its own.
    """
    for place in places:
        module, _, name = place.partition(":")
        if pathlib.Path(tree, *module.split(".")).with_suffix(".py").is_file():
            return getattr(importlib.import_module(module), name, None)
    return None
