#!/usr/bin/env bash
# safetensors 0.8.0, save_file of any framework.
#
# Surprise: the file can be read by its owner alone (mode 0600) whatever the umask says, and a file
# that was there with wider rights loses them. Files that Python, NumPy or `save` and a write make
# follow the umask.
# Expected and seen with umask 022: 0644 of NumPy, 0600 of save_file, also over a file of mode 0644.
# Hurt are groups who share a folder of weights: colleagues, or a demo that runs as another user,
# get "permission denied". t2i_jax gives its files the mode that the umask asks for.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --only-binary :all: safetensors==0.8.0 numpy==2.2.6
cd "$WORK"
umask 022
"$WORK/venv/bin/python" - <<'PY'
import os

import numpy as np
from safetensors.numpy import save_file


def mode(path):
    return oct(os.stat(path).st_mode & 0o777)


weights = {"kernel": np.zeros((2, 3), np.float32)}
np.savez("weights.npz", **weights)
save_file(weights, "new.safetensors")
open("old.safetensors", "w").close()
before = mode("old.safetensors")
save_file(weights, "old.safetensors")
seen = (mode("weights.npz"), mode("new.safetensors"), before, mode("old.safetensors"))
print("npz %s, safetensors %s, over a file of %s: %s" % seen)
assert seen == ("0o644", "0o600", "0o644", "0o600"), seen
PY
echo "as described"
