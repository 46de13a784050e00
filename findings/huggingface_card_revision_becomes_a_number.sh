#!/usr/bin/env bash
# huggingface_hub 2.4.0 with PyYAML 6.0.4: the metadata of a model card, which names the revision of
# the data set that a score belongs to, and free tags.
#
# Surprise: a short commit hash of digits and one "e", such as 4711e08 (about one in 50 of 7 digits),
# or a tag like 1e3, is written without quotes. PyYAML reads it back as text, by the rules of YAML
# 1.1. Readers of YAML 1.2, such as ruamel.yaml, read the number 471100000000.0, so the revision is
# lost. Other texts that look like numbers, as 0123456, are quoted and stay text in both.
# Expected: text that comes back as text from every reader of YAML. No error, no warning.
# Hurt are programs of other makers that collect scores from cards. t2i_jax puts all texts of a
# card's metadata in quotes.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --only-binary :all: \
  huggingface_hub==2.4.0 PyYAML==6.0.4 ruamel.yaml==0.19.1
HF_HUB_OFFLINE=1 "$WORK/venv/bin/python" - <<'PY'
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from ruamel.yaml import YAML


def revisions(revision):
    """What (huggingface_hub, ruamel.yaml) read where `revision` was written."""
    result = EvalResult(
        task_type="text-to-image",
        dataset_type="birds",
        dataset_name="Birds",
        dataset_revision=revision,
        metric_type="fid",
        metric_value=12.5,
    )
    written = ModelCardData(model_name="generator", eval_results=[result]).to_yaml()
    own = ModelCard(f"---\n{written}\n---\n").data.eval_results[0].dataset_revision
    index = YAML(typ="safe", pure=True).load(written)["model-index"]
    return own, index[0]["results"][0]["dataset"]["revision"]


for revision in ("4711e08", "0123456", "abc1234"):
    print(revision, *map(repr, revisions(revision)))
assert revisions("4711e08") == ("4711e08", 4711e8), "quoted now"
assert revisions("0123456") == ("0123456",) * 2
assert revisions("abc1234") == ("abc1234",) * 2
PY
echo "as described"
