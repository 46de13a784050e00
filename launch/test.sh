#!/usr/bin/env bash
# Makes the environment if need be, checks the style and runs all tests (arguments go to pytest).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ruff check .
ruff format --check .
exec python -m pytest -q -n 2 --dist=loadfile "$@"
