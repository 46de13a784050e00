#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy.save_file of a transposed NumPy array: every converter between
# PyTorch's and JAX's layouts transposes kernels, which gives views.
#
# Surprise: the values are written in the order of memory under the shape of the view, so that the
# file holds other numbers than the array. Nothing is raised. np.ascontiguousarray before saving
# helps.
# Seen: the transpose of [[0, 1, 2], [3, 4, 5]] comes back as [[0, 1], [2, 3], [4, 5]].
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.2.6
"$WORK/venv/bin/python" - "$WORK/kernel.safetensors" <<'PY'
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

kernel = np.arange(6.0, dtype=np.float32).reshape(2, 3)
save_file({"kernel": kernel.T}, sys.argv[1])
scrambled = load_file(sys.argv[1])["kernel"]
save_file({"kernel": np.ascontiguousarray(kernel.T)}, sys.argv[1])
right = load_file(sys.argv[1])["kernel"]
print("view:", scrambled.tolist(), " contiguous:", right.tolist())
np.testing.assert_array_equal(scrambled, kernel.reshape(3, 2))
np.testing.assert_array_equal(right, kernel.T)
PY
echo "as described"
