"""Keys are threefry's whatever jax's default is, and no two seeds share one."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from t2i_jax import keys

# A plain draw, and rows drawn under vmap: those are what rbg gets from the first row's key alone.
_DRAWS = """
import jax, numpy as np
from t2i_jax import keys
key = keys.from_seed(7)
rows = jax.vmap(lambda key: jax.random.normal(key, (3,)))(jax.random.split(key, 4))
numbers = [*np.ravel(jax.random.normal(key, (3,))), *np.ravel(rows)]
print(jax.config.jax_default_prng_impl, *[float(x).hex() for x in numbers])
"""


def test_draws_are_threefrys_where_jax_would_use_another():
    env = {**os.environ, "JAX_DEFAULT_PRNG_IMPL": "rbg"}
    output = subprocess.run(
        [sys.executable, "-c", _DRAWS], env=env, check=True, capture_output=True, text=True
    ).stdout.split()
    assert output[0] == "rbg"  # else the rest would show nothing
    key = jax.random.key(7, impl="threefry2x32")
    parts = [key, *jax.random.split(key, 4)]
    expected = np.ravel([jax.random.normal(part, (3,)) for part in parts])
    np.testing.assert_array_equal([float.fromhex(x) for x in output[1:]], expected)


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**32 - 1, np.int64(2**32 - 1), np.uint32(5)])
def test_a_key_is_the_seed_itself(seed):
    np.testing.assert_array_equal(jax.random.key_data(keys.from_seed(seed)), [0, int(seed)])


@pytest.mark.parametrize("seed", [-1, 2**32, 2**40, 1.5, "3", None])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=f"seed={seed!r}: must be a whole number"):
        keys.from_seed(seed)
