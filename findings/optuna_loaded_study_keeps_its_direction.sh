#!/usr/bin/env bash
# optuna 5.0.0, a study that is kept in a file and loaded again.
#
# Surprise: create_study(load_if_exists=True, direction="maximize") of a study that was made with
# "minimize" returns it without a word, still minimising. A search that is resumed after its metric
# was changed from a loss to an accuracy goes on looking for the worst.
# Seen: the direction stays MINIMIZE, and best_value is the least.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet "optuna==5.0.0"
cd "$WORK"
"$WORK/venv/bin/python" -W error - <<'PY'
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study(direction):
    storage = JournalStorage(JournalFileBackend("study.log"))
    return optuna.create_study(
        study_name="s", storage=storage, direction=direction, load_if_exists=True
    )


first = study("minimize")
for value in (0.2, 0.9):
    first.tell(first.ask(), value)
again = study("maximize")
print("asked for maximize, got:", again.direction.name, " best:", again.best_value)
assert again.direction.name == "MINIMIZE" and again.best_value == 0.2
PY
echo "as described"
