#!/usr/bin/env bash
# One training on all hosts of a Cloud TPU VM slice, which have a checkout with the package installed
# in their home folder, with the extra "gcs" for runs and data on gs:// (docs/training.md, Runs on a
# store). All hosts print here.
#   TPU=my-slice ZONE=us-central2-b launch/tpu_vm.sh --config=... --workdir=gs://bucket/run
# Ctrl-C or a lost connection closes what the training prints to: it saves and ends, and the same
# command goes on. RESTARTS=N does so by itself, N times at most. --dry_run, as the first option,
# prints the command instead. FOLDER: of the checkout (default: t2i_jax).
set -euo pipefail
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
dry_run=""
if [ "${1:-}" = --dry_run ]; then
    dry_run=1
    shift
fi
# With several hosts gcloud's own status is 0 whatever happened there, so every host tells it.
ended="t2i_jax ended with status"
remote="cd $(printf '%q' "${FOLDER:-t2i_jax}") && python3 -m t2i_jax.train --multihost \
$(printf '%q ' "$@"); status=\$?; echo \"$ended \$status on \$(hostname)\"; exit \$status"
command=(gcloud compute tpus tpu-vm ssh "$TPU" "--zone=$ZONE" --worker=all "--command=$remote")
if [ -n "$dry_run" ]; then
    printf '%q ' "${command[@]}"
    echo
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT

train() {
    "${command[@]}" 2>&1 | tee "$log" || return
    local statuses
    statuses=$(grep -o "$ended [0-9]*" "$log" | grep -o '[0-9]*$' | sort -nr) || return 255
    return "${statuses%%$'\n'*}"
}

for ((left = ${RESTARTS:-0}; ; left--)); do
    status=0
    train || status=$?
    if ((status == 0 || left <= 0)); then
        exit "$status"
    fi
    echo "status $status; going on from the last checkpoint in ${PAUSE:=30} s ($left more)" >&2
    sleep "$PAUSE"
done
