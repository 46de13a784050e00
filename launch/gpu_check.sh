#!/usr/bin/env bash
# What the library does on the GPU at hand, in 14 minutes: see launch/gpu_check.py. It takes the
# python3 that is there, with jax, and fetches nothing. Packages that are missing may come as wheels:
#   WHEELS=DIR bash launch/gpu_check.sh
# PYTHON names another interpreter, OUT the folder for the results (default: ./gpu_check).
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-python3}"
export OUT="${OUT:-$PWD/gpu_check}" PYTHONUNBUFFERED=1
export PYTHONPATH="$ROOT:$ROOT/launch${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "${WHEELS:-}" ]; then
    SITE="$(mktemp -d)"
    trap 'rm -rf "$SITE"' EXIT
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$SITE" "$WHEELS"/*.whl
    export PYTHONPATH="$PYTHONPATH:$SITE"
fi
"$PYTHON" "$ROOT/launch/gpu_check.py" "$@"
