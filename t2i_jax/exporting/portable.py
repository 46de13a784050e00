"""A folder with a run's generator for programs without this library, in whatever format.

README.md      what lies there, and Python that draws from it
program.json   inputs and outputs, noise, captions, pixels
example.npz    inputs with their outputs, to compare with
tokenizer.json how captions are read, of a run that reads them
"""

import dataclasses
import io
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from t2i_jax.drawing import drawer
from t2i_jax.exporting import captions_elsewhere, portable_readme
from t2i_jax.exporting.captions_elsewhere import Reading
from t2i_jax.exporting.place import whole
from t2i_jax.exporting.portable_readme import Runtime
from t2i_jax.exporting.program import Arrays, Program, programs
from t2i_jax.sampler import Sampler
from t2i_jax.types import MASK, SENTENCE, TOKENS
from t2i_jax.versions import versions

README, DESCRIPTION, EXAMPLE = "README.md", "program.json", "example.npz"
SHARED = (README, DESCRIPTION, EXAMPLE, captions_elsewhere.FILE)

_SEED = 0
_NOISE = {
    "normal": {"distribution": "normal", "mean": 0.0, "deviation": 1.0},
    "uniform": {"distribution": "uniform", "low": -1.0, "high": 1.0},
}
_PIXELS = {
    "layout": "rows, height, width, channels (red, green, blue)",
    "range": [-1.0, 1.0],
    "to_uint8": "floor((x + 1) * 127.5 + 0.5), cut to 0..255",
}


@dataclasses.dataclass(frozen=True)
class Format:
    """name: for people. files: of the programs, by every name that they can have.

    write: writes a program into a folder. runtime: for the README. written_with: packages whose
    versions matter. check: raises ValueError where what was written gives other outputs than the
    example's; None where the writer itself is to be trusted. details: more fields of program.json;
    of them the README has ``calling``.
    """

    name: str
    files: tuple[str, ...]
    write: Callable[[Program, pathlib.Path], None]
    runtime: Runtime
    written_with: tuple[str, ...]
    check: Callable[[Program, pathlib.Path, Arrays], None] | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write(sampler: Sampler, out: pathlib.Path, form: Format) -> list[pathlib.Path]:
    """Writes the folder, whole or not at all, in the place of an earlier one; returns the files.

    Raises ValueError where `out` holds something else, and where the file that was written draws
    other images.
    """
    with whole(out, DESCRIPTION, (*SHARED, *form.files)) as folder:
        made = programs(sampler)
        tokenizer = sampler.system.tokenizer if sampler.system.encoder is not None else None
        read = tokenizer and captions_elsewhere.reading(tokenizer)
        example = _example(sampler, made, read)
        for program in made:
            form.write(program, folder)
            if form.check is not None:
                form.check(program, folder, example)
        if read is not None:
            _write_json(folder / captions_elsewhere.FILE, read.state)
        told = _description(sampler, made, read, form)
        _write_json(folder / DESCRIPTION, told)
        packed = io.BytesIO()
        np.savez_compressed(packed, **example)
        (folder / EXAMPLE).write_bytes(packed.getvalue())
        readme = portable_readme.text(told, read, form.runtime)
        (folder / README).write_text(readme, encoding="utf-8")
    return sorted(out.iterdir())


def _example(
    sampler: Sampler, made: Sequence[Program], read: Reading | None
) -> dict[str, np.ndarray]:
    """Inputs and outputs of all programs: what `Sampler.sample` draws first of two captions with
    seed 0, before it is rounded.
    """
    keys = drawer.image_keys(_SEED, range(2))
    found = {k: np.asarray(x) for k, x in sampler.system.recipe.sample_noise(keys).items()}
    if read is not None:
        found[TOKENS], found[MASK] = sampler.system.tokenizer.encode(read.captions)
    elif SENTENCE in made[-1].inputs:
        shape = (2, *made[-1].inputs[SENTENCE].shape[1:])
        found[SENTENCE] = np.random.default_rng(_SEED).normal(size=shape).astype(np.float32)
    for program in made:
        given = {name: found[name] for name in program.inputs}
        found |= jax.device_get(jax.jit(program.function)(program.weights, given))
    named = {name for program in made for name in (*program.inputs, *program.outputs)}
    return {name: np.asarray(found[name]) for name in sorted(named)}


def _description(
    sampler: Sampler, made: Sequence[Program], read: Reading | None, form: Format
) -> dict[str, Any]:
    distribution = _NOISE[sampler.system.recipe.noise_distribution]
    noise = {k: distribution for k in made[-1].inputs if k in sampler.system.recipe.noise_shapes}
    told = {
        "format": form.name,
        "system": sampler.config.system,
        "written_with": versions(("t2i_jax", *form.written_with)),
        "first_axis": "rows: any number, the same in all arrays of a call",
        **form.details,
        "programs": {
            program.name: {
                "inputs": {k: _described(x) for k, x in program.inputs.items()},
                "outputs": {k: _described(x) for k, x in program.outputs.items()},
            }
            for program in made
        },
        "noise": noise,
        "images": _PIXELS,
        "example": {"file": EXAMPLE},
    }
    if read is not None:
        told["captions"] = {"file": captions_elsewhere.FILE, "rule": read.rule}
        told["example"]["captions"] = read.captions
    return told


def _described(array: jax.ShapeDtypeStruct) -> dict[str, Any]:
    shape = [side if isinstance(side, int) else str(side) for side in array.shape]
    return {"shape": shape, "dtype": array.dtype.name}


def _write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
