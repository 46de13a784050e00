#!/usr/bin/env bash
# Makes the environment if need be, checks the style and runs all tests (arguments go to pytest).
# Tests of published weights run where these can be fetched (20 MB, once).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
bash launch/fetch_weights.sh efficientnet_lite0 || echo "tests of published weights are skipped"
ruff check .
ruff format --check .
exec python -m pytest -q -n 2 --dist=loadfile "$@"
