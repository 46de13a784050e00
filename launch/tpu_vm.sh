#!/usr/bin/env bash
# One training on all hosts of a Cloud TPU VM slice that has the package installed, with the extra
# "gcs" for runs and data on gs:// (docs/training.md, Runs on a store).
#   TPU=my-slice ZONE=us-central2-b launch/tpu_vm.sh --config=... --workdir=gs://bucket/run
set -euo pipefail
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
    --command="cd t2i_jax && python3 -m t2i_jax.train --multihost $(printf '%q ' "$@")"
