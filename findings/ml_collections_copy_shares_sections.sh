#!/usr/bin/env bash
# ml_collections 1.1.0: ConfigDict(config), the way in which a dict would be copied for each run of an
# ablation grid.
#
# Surprise: sections of the copy are those of the original. What one run overrides in a section, all
# other runs have as well; a plain field of the top level is copied. copy_and_resolve_references()
# shares nothing.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet ml-collections==1.1.0
"$WORK/venv/bin/python" - <<'PY'
from ml_collections import ConfigDict

base = ConfigDict({"seed": 0, "optim": {"lr": 1e-4}})
run = ConfigDict(base)
run.seed, run.optim.lr = 7, 0.5
print("after changes of the copy:", base.to_dict())
assert base.seed == 0 and base.optim.lr == 0.5
whole = base.copy_and_resolve_references()
whole.optim.lr = 9.0
assert base.optim.lr == 0.5
PY
echo "as described"
