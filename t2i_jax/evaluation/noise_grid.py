"""Captions against noise: a row is a caption, a column is the same noise for all of them.

Along a row shows what noise changes, down a column what the caption does. Rows that look alike are
captions that are not heard; columns that look alike are noise that is not heard.
"""

from collections.abc import Sequence

from PIL import Image

from t2i_jax import pictures
from t2i_jax.evaluation.toy_attributes import Draw


def evaluate(
    draw: Draw, captions: Sequence[str], columns: int, seed: int, describe: dict
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print).

    draw: the generator: the i-th of `num` images of one caption has the i-th noise of the seed.
    columns: noises. describe: what a result says of the generator, JSON types.

    Raises ValueError for no captions.
    """
    if not captions:
        raise ValueError("a grid of captions and noise needs captions: this run reads none")
    rows = [pictures.Row(caption, draw([caption], seed, columns)) for caption in captions]
    header = [f"noise {k}" for k in range(columns)]
    result = {**describe, "captions": list(captions), "columns": columns, "seed": seed}
    return result, {"grid": pictures.table(rows, header)}, ""
