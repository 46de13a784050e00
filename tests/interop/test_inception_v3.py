"""Reading the files of nsfwjs: 8-bit integers in base64 within JavaScript. Torchvision's state dict
is in `test_damsm.py`, the published weights in `tests/encoders/test_inception_v3.py`.
"""

import base64

import numpy as np
import pytest

from t2i_jax.interop.inception_v3 import load_nsfwjs, nsfwjs_arrays

ARRAYS = {"conv2d_1/kernel": (2, 3, 2, 1), "batch_normalization_1/beta": (5,)}


@pytest.fixture
def folder(tmp_path):
    """Six shards and a manifest of `ARRAYS`, whose 17 integers are 0, 15, 30, ..., 240."""
    raw = np.arange(17, dtype=np.uint8) * 15
    for i, piece in enumerate(np.split(raw, [3, 6, 9, 12, 15]), start=1):
        text = f'!function(a){{n.exports="{base64.b64encode(piece).decode()}"}}'
        (tmp_path / f"group1-shard{i}of6.min.js").write_text(text)
    entries = ",".join(
        f'{{name:"{name}",shape:[{",".join(map(str, shape))}],dtype:"float32",'
        f'quantization:{{min:-.5,scale:25e-2,dtype:"uint8"}}}}'
        for name, shape in ARRAYS.items()
    )
    (tmp_path / "model.min.js").write_text(
        f"n.exports={{weightsManifest:[{{weights:[{entries}]}}]}}"
    )
    return tmp_path


def test_integers_become_values(folder):
    arrays = nsfwjs_arrays(folder)
    assert {name: array.shape for name, array in arrays.items()} == ARRAYS
    values = np.concatenate([array.ravel() for array in arrays.values()])
    np.testing.assert_array_equal(values, np.arange(17, dtype=np.float32) * 15 * 0.25 - 0.5)


def test_faults_are_named(folder):
    with pytest.raises(ValueError, match=r"nsfwjs.*conv2d_2/kernel is missing"):
        load_nsfwjs(folder)
    shard = folder / "group1-shard6of6.min.js"
    shard.write_text('exports="AA=="')
    with pytest.raises(ValueError, match="the shards end within batch_normalization_1/beta"):
        nsfwjs_arrays(folder)
    shard.write_text('exports="AAAA"')
    with pytest.raises(ValueError, match="the manifest tells of 17 values, the shards hold 18"):
        nsfwjs_arrays(folder)
    shard.write_text("exports=5")
    with pytest.raises(ValueError, match="shard6of6.min.js: not a shard of nsfwjs"):
        nsfwjs_arrays(folder)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="shard6of6"):
        load_nsfwjs(folder)
