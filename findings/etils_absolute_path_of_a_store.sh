#!/usr/bin/env bash
# etils 1.15.0, epath.Path of a bucket, as run directories on TPUs are.
#
# Surprise: absolute() of a path that is absolute already returns a local one below the working
# directory, in a folder called "gs:". Code that makes paths absolute before it hands them on then
# writes to the local disk. Nothing is raised.
# Seen: epath.Path("gs://bucket/run").absolute() is <working directory>/gs:/bucket/run, whereas
# is_absolute() is True.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet "etils[epath]==1.15.0"
cd "$WORK"
"$WORK/venv/bin/python" - <<'PY'
import os

from etils import epath

path = epath.Path("gs://bucket/run")
print("absolute already:", path.is_absolute(), " absolute():", os.fspath(path.absolute()))
assert os.fspath(path) == "gs://bucket/run"
assert os.fspath(path.absolute()).endswith("/gs:/bucket/run")
PY
echo "as described"
