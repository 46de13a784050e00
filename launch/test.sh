#!/usr/bin/env bash
# Makes the environment if need be, checks the style and runs all tests (arguments go to pytest).
# Tests of published weights and of captions in every script run where these weights and fonts can be
# fetched (20 MB each, once).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
bash launch/fetch_weights.sh efficientnet_lite0 || echo "tests of published weights are skipped"
python -m pip show --quiet manimgx-fonts-cjk 2>/dev/null ||
    python -m pip install --quiet --editable '.[fonts]' || echo "tests of other scripts are skipped"
ruff check .
ruff format --check .
exec python -m pytest -q -n 2 --dist=loadfile --no-loadscope-reorder "$@"
