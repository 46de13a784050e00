"""``--format=stablehlo``: a run's generator as StableHLO, by `jax.export`.

One file serves CPUs, NVIDIA's GPUs and TPUs, and any number of images. The weights lie beside it as
safetensors and are the program's first argument: so the program stays at tens of kilobytes however
large the network is, and the 2 GB that its file format holds do not bound them.
"""

import contextlib
import importlib.util
import os
import pathlib
from collections.abc import Iterator

import jax
from flax import traverse_util
from jax import export

from t2i_jax import paths
from t2i_jax.exporting import portable
from t2i_jax.exporting.portable_readme import Runtime
from t2i_jax.exporting.program import Program
from t2i_jax.interop import weights
from t2i_jax.sampler import Sampler

PLATFORMS = ("cpu", "cuda", "tpu")

_LOAD = """\
def load(name):
    with open(f"{name}.stablehlo", "rb") as file:
        program = jax.jit(export.deserialize(bytearray(file.read())).call)
    weights = jax.device_put(load_file(f"{name}.safetensors"))
    return lambda inputs: program(weights, inputs)
"""
_CALLING = (
    "A program `NAME.stablehlo` is what `jax.export` serialises: StableHLO with a calling "
    "convention. Its arguments are the arrays of `NAME.safetensors` in the order of their names, "
    "then the inputs in the order of theirs; it returns the outputs in the order of their names. "
    "`jax.export.deserialize(...).mlir_module()` shows it as text."
)


def write(sampler: Sampler, out: str | os.PathLike) -> list[pathlib.Path]:
    """Writes ``generator.stablehlo``, ``encoder.stablehlo`` where the run reads captions, their
    weights, and what a stranger needs to use them; returns the files.

    Raises ValueError as `portable.write`, and where flatbuffers is not installed.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise ValueError("--format=stablehlo needs flatbuffers: pip install 't2i_jax[stablehlo]'")
    return portable.write(sampler, paths.local(out, "exported folders"), _FORMAT)


def _write(program: Program, folder: pathlib.Path) -> None:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), program.weights)
    with _without_places():
        lower = export.export(jax.jit(program.function), platforms=PLATFORMS)
        exported = lower(shapes, program.inputs)
    (folder / f"{program.name}.stablehlo").write_bytes(exported.serialize())
    nested = traverse_util.unflatten_dict(program.weights, sep="/")
    weights.save(folder / f"{program.name}.safetensors", nested)


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Inside, programs do not say from which lines of which files, by their paths here, they are
    made: that is nothing to share, and it would make every file another.
    """
    before = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)


_FORMAT = portable.Format(
    name="StableHLO",
    files=tuple(
        f"{x}.{end}" for x in ("generator", "encoder") for end in ("stablehlo", "safetensors")
    ),
    write=_write,
    runtime=Runtime(
        ("jax", "flatbuffers", "safetensors"),
        ("import jax", "from jax import export", "from safetensors.numpy import load_file"),
        _LOAD,
    ),
    written_with=("jax", "jaxlib"),
    details={"platforms": PLATFORMS, "calling": _CALLING},
)
