#!/usr/bin/env bash
# torch-fidelity 0.4.0, prc_features_to_metric(features_1, features_2): precision and recall of
# features that are there already.
#
# Surprise: the first argument is the generated set and the second the real one; in the library's
# other functions of two sets of features, FID and KID, the order does not matter, and nothing in
# the names tells. Whoever passes real images first has recall under the name of precision.
# Seen: of generated points that all lie at one place among widely scattered real ones, precision is
# 1 and recall near 0 with the generated set first, and the other way round with it second.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet "torch==2.14.1" "torchvision==0.29.1" "torch-fidelity==0.4.0"
cd "$WORK"
"$WORK/venv/bin/python" - <<'PY'
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

generator = torch.Generator().manual_seed(0)
real = torch.randn(200, 4, generator=generator)
fake = 0.05 * torch.randn(200, 4, generator=generator)  # all of them in the middle
options = {"prc_neighborhood": 3, "prc_batch_size": 1000, "verbose": False}
first = prc_features_to_metric(fake, real, **options)
second = prc_features_to_metric(real, fake, **options)
print("generated first:", first)
print("generated second:", second)
assert first["precision"] > 0.9 and first["recall"] < 0.2
assert second["precision"] < 0.2 and second["recall"] > 0.9
PY
echo "as described"
