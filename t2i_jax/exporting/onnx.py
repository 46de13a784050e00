"""``--format=onnx``: a run's generator as ONNX, by jax2onnx, with its weights inside.

jax2onnx asks for an orbax-checkpoint that is older than this library's, and uses nothing of it, so
that no extra can name it: see `INSTALL`.
"""

import importlib.util
import logging
import os
import pathlib

import jax
import numpy as np

from t2i_jax import paths
from t2i_jax.exporting import portable
from t2i_jax.exporting.portable_readme import Runtime
from t2i_jax.exporting.program import Arrays, Program
from t2i_jax.sampler import Sampler

INSTALL = "pip install 't2i_jax[onnx]' && pip install --no-deps 'jax2onnx>=0.17.1'"

_MOST = 2**31  # bytes
_TOLERANCE = 1e-3  # far above rounding, far below another image
_LOAD = """\
def load(name):
    session = onnxruntime.InferenceSession(f"{name}.onnx")
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))
"""


def write(sampler: Sampler, out: str | os.PathLike) -> list[pathlib.Path]:
    """Writes ``generator.onnx``, ``encoder.onnx`` where the run reads captions, and what a stranger
    needs to use them; returns the files.

    Raises ValueError as `portable.write`, where jax2onnx or onnxruntime is not installed, and for
    weights beyond the 2 GB that a file holds.
    """
    missing = [name for name in ("jax2onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        raise ValueError(f"--format=onnx needs {' and '.join(missing)}: {INSTALL}")
    return portable.write(sampler, paths.local(out, "exported folders"), _FORMAT)


def _write(program: Program, folder: pathlib.Path) -> None:
    held = sum(x.nbytes for x in program.weights.values())
    if held >= _MOST:
        raise ValueError(
            f"the {program.name} has {held:,} bytes of weights, and an ONNX file holds less than "
            "2 GB: write --format=stablehlo"
        )
    import jax2onnx

    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # of shapes that no reader needs

    def positional(*inputs):
        found = program.function(program.weights, dict(zip(program.inputs, inputs, strict=True)))
        # Without the barrier jax2onnx 0.17.1 leaves an output that a convolution reads, too, in
        # that convolution's own layout.
        return tuple(jax.lax.optimization_barrier(found[name]) for name in program.outputs)

    jax2onnx.to_onnx(
        positional,
        list(program.inputs.values()),
        model_name=program.name,
        input_names=list(program.inputs),
        output_names=list(program.outputs),
        return_mode="file",
        export_mode="web",  # one file
        output_path=folder / f"{program.name}.onnx",
    )


def _check(program: Program, folder: pathlib.Path, example: Arrays) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: jax2onnx leaves constants that nothing reads
    session = onnxruntime.InferenceSession(folder / f"{program.name}.onnx", options)
    names = list(program.outputs)
    found = session.run(names, {name: example[name] for name in program.inputs})
    for name, value in zip(names, found, strict=True):
        if value.shape != example[name].shape:
            raise ValueError(f"{program.name}.onnx: {name} has the shape {value.shape}")
        if not np.abs(value - example[name]).max() < _TOLERANCE:
            raise ValueError(f"{program.name}.onnx: {name} differs from what the run draws")


_FORMAT = portable.Format(
    name="ONNX",
    files=("generator.onnx", "encoder.onnx"),
    write=_write,
    check=_check,
    runtime=Runtime(("onnxruntime",), ("import onnxruntime",), _LOAD),
    written_with=("jax", "jax2onnx", "onnx"),
)
