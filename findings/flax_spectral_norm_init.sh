#!/usr/bin/env bash
# flax 0.12.8, linen.SpectralNorm around a Dense layer.
#
# Surprise: `init` stores the kernel already divided by its largest singular value, not what
# kernel_init gave, so an optimizer starts from other weights than in PyTorch or in Haiku. And the
# `sigma` that is kept in batch_stats is never read: setting it to 100 changes no output.
# Seen: kernel_init of all 5 (3x4) is stored as all 0.2887 = 5 / 17.32.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - <<'PY'
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

module = nn.SpectralNorm(nn.Dense(4, kernel_init=nn.initializers.constant(5.0)))
x = jnp.ones((2, 3))
variables = module.init(jax.random.key(0), x, update_stats=True)
kernel = variables["params"]["layer_instance"]["kernel"]
stats = variables["batch_stats"]
(name,) = (key for key in stats if key.endswith("sigma"))
print("stored kernel:", float(kernel[0, 0]), " sigma:", float(stats[name]))
np.testing.assert_allclose(kernel, 5.0 / np.sqrt(5.0**2 * 12), rtol=1e-5)
other = {"params": variables["params"], "batch_stats": {**stats, name: jnp.float32(100.0)}}
outputs = [module.apply(v, x, update_stats=False) for v in (variables, other)]
np.testing.assert_array_equal(*outputs)
PY
echo "as described"
