"""The README of a folder for programs without this library."""

import dataclasses
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from t2i_jax.exporting.captions_elsewhere import FILE, Reading
from t2i_jax.types import MASK, SENTENCE, TOKENS

_TEXT = """\
# {system}: images from captions, for programs without t2i_jax

A text-to-image generator, trained with t2i_jax and written as {format}. `program.json` describes
every input and output; `example.npz` holds inputs with the outputs that belong to them, by the same
names.

{table}

The first axis of every array is the number of images, any number. Images are red, green and blue in
[-1, 1], rows of pixels from the top. The same noise and text give the same image.

{noise}

## Python

`pip install {packages}`; run it in this folder.

```python
{code}```

## Other languages

{others}
"""
_DRAW = """\
images = generator(inputs)["images"]
values = np.floor((np.asarray(images) + 1) * 127.5 + 0.5).clip(0, 255).astype(np.uint8)
for i, pixels in enumerate(values):
    Image.fromarray(pixels).save(f"image_{i}.png")
"""
_NORMAL = (
    "Noise is normal, of mean 0 and deviation 1. Cut at +-2 and made smaller, it gives images\n"
    "that vary less."
)
_UNIFORM = "Noise is uniform from -1 to 1."


@dataclasses.dataclass(frozen=True)
class Runtime:
    """Python that runs a program.

    packages: for pip, beside numpy and pillow. imports: lines of it. load: lines that define a
    function ``load``, from a program's name to a function of named inputs.
    """

    packages: tuple[str, ...]
    imports: tuple[str, ...]
    load: str


def text(told: Mapping[str, Any], read: Reading | None, runtime: Runtime) -> str:
    """told: the content of program.json."""
    normal = all(noise["distribution"] == "normal" for noise in told["noise"].values())
    packages = ["numpy", "pillow", *runtime.packages, *(read.packages if read else ())]
    return _TEXT.format(
        system=told["system"],
        format=told["format"],
        table=_table(told["programs"]),
        noise=_NORMAL if normal else _UNIFORM,
        packages=" ".join(packages),
        code=_code(told, read, runtime),
        others=_others(told, read),
    )


def _code(told: Mapping[str, Any], read: Reading | None, runtime: Runtime) -> str:
    imports = ["import numpy as np", "from PIL import Image", *runtime.imports]
    programs = "".join(f'{name} = load("{name}")\n' for name in told["programs"])
    parts = [
        *(["\n".join(read.imports) + "\n"] if read and read.imports else []),
        "\n".join(sorted(imports, key=lambda line: line.split()[1].lower())) + "\n",
        runtime.load + "\n" + programs,
        _captions(told, read) if read else _stored(told),
        _noise(told),
        _DRAW,
    ]
    return "\n".join(parts)


def _captions(told: Mapping[str, Any], read: Reading) -> str:
    listed = "".join(f"    {json.dumps(caption)},\n" for caption in read.captions)
    reads = told["programs"]["encoder"]["inputs"]
    given = ", ".join(f'"{name}": {name}' for name in (TOKENS, MASK) if name in reads)
    lines = f"captions = [\n{listed}]\n{read.code}inputs = encoder({{{given}}})\n"
    if MASK in told["programs"]["generator"]["inputs"]:
        lines += 'inputs["mask"] = mask\n'
    return lines + "rows = len(captions)\n"


def _stored(told: Mapping[str, Any]) -> str:
    if SENTENCE not in told["programs"]["generator"]["inputs"]:
        return "inputs = {}\nrows = 4\n"
    return (
        "# Vectors of captions by the encoder of the training's data; those of the example are\n"
        "# random numbers.\n"
        'inputs = {"sentence": np.load("example.npz")["sentence"]}\n'
        'rows = len(inputs["sentence"])\n'
    )


def _noise(told: Mapping[str, Any]) -> str:
    lines = "rng = np.random.default_rng(0)\n"
    for name, noise in told["noise"].items():
        _, *sides = told["programs"]["generator"]["inputs"][name]["shape"]
        shape = f"({', '.join(map(str, ['rows', *sides]))})"
        normal = noise["distribution"] == "normal"
        drawn = f"rng.normal(size={shape})" if normal else f"rng.uniform(-1, 1, size={shape})"
        lines += f'inputs["{name}"] = {drawn}.astype(np.float32)\n'
    return lines


def _table(programs: Mapping[str, Any]) -> str:
    lines = ["| program | array | shape | type |", "|---|---|---|---|"]
    for name, program in programs.items():
        for kind in ("inputs", "outputs"):
            for array, told in program[kind].items():
                shape = " x ".join(map(str, told["shape"]))
                lines.append(f"| {name} | {kind[:-1]} `{array}` | {shape} | {told['dtype']} |")
    return "\n".join(lines)


def _others(told: Mapping[str, Any], read: Reading | None) -> str:
    said = [told["calling"]] if "calling" in told else []
    if read is not None:
        said.append(f"Captions (`{FILE}`): {read.rule}")
    said.append(
        "Feed `example.npz` to the programs and compare: differences beyond rounding, some 1e-5, "
        "mean that something is passed wrongly."
    )
    return "\n\n".join(textwrap.fill(part, 100) for part in said)
