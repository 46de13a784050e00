#!/usr/bin/env bash
# orbax-checkpoint 0.12.8 with jax 0.10.2: two CheckpointManagers of one process, each in a thread
# and with a directory of its own, that save at the same time.
#
# Surprise: they break each other's asynchronous saves. Signals between a save and the threads that
# make its folders and write its files are named after one count of operations for the whole
# process, so a save may hear those of the other manager, or never hear its own. One of the two
# raises FileExistsError, "not empty" or NOT_FOUND of its own directory, which nobody else writes
# to, or both wait in vain until the time limit.
# Expected and seen in turns on one thread: both keep all of their ten steps.
# Hurt is who trains two small models in one Python program or notebook server. t2i_jax lets only
# one training of a process run at a time.
# Waits for a signal are set to end in an error after 10 seconds, by AsyncOptions. A try that is not
# done after a minute is ended and counts as broken, too. Fails if ten tries in a row keep every
# step, or if the saves in turns do not.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --only-binary :all: \
  orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
cat >"$WORK/saves.py" <<'PY'
import os
import sys
import threading

import numpy as np
import orbax.checkpoint as ocp

root, way = sys.argv[1:]
STEPS = list(range(1, 11))
OPTIONS = ocp.CheckpointManagerOptions(async_options=ocp.AsyncOptions(timeout_secs=10))
errors = []


def manager_of(name):
    return ocp.CheckpointManager(f"{root}/{name}", options=OPTIONS)


def save(manager, step):
    manager.save(step, args=ocp.args.StandardSave({"weights": np.full(1000, step)}))


def train(name):
    try:
        with manager_of(name) as manager:
            for step in STEPS:
                save(manager, step)
            manager.wait_until_finished()
            assert list(manager.all_steps()) == STEPS
    except Exception as error:
        message = str(error).replace(root, "ROOT")
        errors.append(f"{type(error).__name__}: {message[:120]}")


if way == "threads":
    threads = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
else:
    with manager_of("a") as a, manager_of("b") as b:
        for step in STEPS:
            save(a, step)
            save(b, step)
        for manager in (a, b):
            manager.wait_until_finished()
            assert list(manager.all_steps()) == STEPS
print("; ".join(errors) or "all steps are kept", flush=True)
os._exit(0)  # threads of a broken save may still wait
PY
JAX_PLATFORMS=cpu python3 - "$WORK" <<'PY'
import subprocess
import sys
import tempfile


def outcome(way):
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as root:
        command = [f"{sys.argv[1]}/venv/bin/python", f"{sys.argv[1]}/saves.py", root, way]
        quiet = {"stderr": subprocess.DEVNULL, "text": True, "timeout": 60}
        try:
            return subprocess.check_output(command, **quiet).strip()
        except subprocess.TimeoutExpired:
            return "did not finish"


turns = outcome("turns")
print("in turns:", turns)
assert turns == "all steps are kept", turns
for _ in range(10):
    threads = outcome("threads")
    print("in threads:", threads)
    if threads != turns:
        break
else:
    sys.exit("the managers of two threads leave each other alone now")
PY
echo "as described"
