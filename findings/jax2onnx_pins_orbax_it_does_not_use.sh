#!/usr/bin/env bash
# jax2onnx 0.17.1 beside orbax-checkpoint 0.12.8, with which trainers in JAX save.
#
# Surprise: jax2onnx 0.17.1 requires orbax-checkpoint<0.11.37 and imports nothing of it. Told to put
# jax2onnx beside a newer Orbax, pip silently goes back to jax2onnx 0.13.0, the last one without that
# bound. With jax 0.10.2 that one prints tracebacks of plugins that it cannot load, and cannot
# export leaky_relu, which most discriminators use.
# Expected: 0.17.1, which exports it, or an error of pip. Seen: 0.13.0, "too many values to unpack".
# Hurt is whoever adds jax2onnx to a project that trains. t2i_jax has its users install jax2onnx with
# --no-deps, and its extra "onnx" lists what jax2onnx really needs.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
pip() { "$WORK/venv/bin/pip" "$@" --quiet --only-binary :all:; }
pip install jax2onnx orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6 \
  flax==0.12.8 equinox==0.13.8 dm-pix==0.4.5 onnx==1.23.2 onnx-ir==1.1.0 onnxruntime==1.32.0
cat >"$WORK/export.py" <<'PY'
import importlib.metadata

import jax
import jax2onnx

try:
    jax2onnx.to_onnx(lambda x: jax.nn.leaky_relu(x, 0.2), [(2, 3)])
    outcome = "exports"
except ValueError as error:
    outcome = f"ValueError: {error}"
print(importlib.metadata.version("jax2onnx"), outcome)
PY
# The last line that is printed; plugins' tracebacks and warnings come before it, on stderr.
exported() { JAX_PLATFORMS=cpu "$WORK/venv/bin/python" "$WORK/export.py" 2>/dev/null | tail -n 1; }
old="$(exported)"
pip install --no-deps jax2onnx==0.17.1
new="$(exported)"
printf 'with dependencies: %s\nwithout: %s\n' "$old" "$new"
[[ "$old" == "0.13.0 ValueError: too many values to unpack"* ]]
[[ "$new" == "0.17.1 exports" ]]
"$WORK/venv/bin/python" - <<'PY'
import importlib.metadata
import pathlib
import re

package = importlib.metadata.distribution("jax2onnx")
bound = next(line for line in package.requires if line.startswith("orbax-checkpoint"))
sources = [pathlib.Path(package.locate_file(f)) for f in package.files if f.suffix == ".py"]
users = [f for f in sources if re.search(r"(import|from) +orbax", f.read_text())]
print(f"{bound}; {len(users)} of {len(sources)} sources import orbax")
assert "<0.11.37" in bound and sources and not users
PY
echo "as described"
