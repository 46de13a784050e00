#!/usr/bin/env bash
# Makes the virtual environment .venv with the package and its test tools in it, once; sourced by
# the other scripts. T2I_JAX_VENV names another place, T2I_JAX_EXTRAS other extras (gpu, tpu, ...).
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${T2I_JAX_VENV:-$ROOT/.venv}"
EXTRAS="${T2I_JAX_EXTRAS:-test}"
PYTHON="${PYTHON:-python3}"
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "t2i_jax needs Python 3.11 or newer; set PYTHON to one" >&2
    exit 1
fi
STAMP="$VENV/.t2i_jax_$(cat "$ROOT/setup.py" | cksum | cut -d' ' -f1)_$EXTRAS"
if [ ! -e "$STAMP" ]; then
    echo "installing into $VENV (once) ..."
    "$PYTHON" -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --upgrade pip
    "$VENV/bin/python" -m pip install --quiet --editable "${ROOT}[$EXTRAS]"
    touch "$STAMP"
fi
# shellcheck disable=SC1091
source "$VENV/bin/activate"
cd "$ROOT"
