#!/usr/bin/env bash
# orbax-checkpoint 0.12.8: CheckpointManager(best_fn=..., best_mode="min", max_to_keep=2) where the
# metric of some steps is NaN, as FID is where an evaluation had too few images.
#
# Surprise: after a NaN the best checkpoint can be deleted and a worse one called the best. No error,
# no warning. The same metrics without the NaNs keep the two best.
# Seen: metrics 30, nan, 10, nan, 20, 40 of steps 1 to 6 keep steps 5 and 6, "best" 5; the step of
# metric 10 is gone. Without steps 2 and 4: steps 3 and 5, "best" 3.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - "$WORK" <<'PY'
import sys

import numpy as np
import orbax.checkpoint as ocp


def kept(name, metrics):
    options = ocp.CheckpointManagerOptions(
        max_to_keep=2,
        best_fn=lambda metrics: metrics["fid"],
        best_mode="min",
        enable_async_checkpointing=False,
    )
    with ocp.CheckpointManager(f"{sys.argv[1]}/{name}", options=options) as manager:
        for step, fid in metrics.items():
            tree = {"weights": np.arange(3)}
            manager.save(step, args=ocp.args.StandardSave(tree), metrics={"fid": fid})
        return list(manager.all_steps()), manager.best_step()


nan = float("nan")
with_nan = kept("nan", {1: 30.0, 2: nan, 3: 10.0, 4: nan, 5: 20.0, 6: 40.0})
without = kept("clean", {1: 30.0, 3: 10.0, 5: 20.0, 6: 40.0})
print("with NaN:", with_nan, " without:", without)
assert with_nan == ([5, 6], 5), with_nan
assert without == ([3, 5], 3), without
PY
echo "as described"
