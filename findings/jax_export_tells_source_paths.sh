#!/usr/bin/env bash
# jax 0.10.2, jax.export: a program is serialised to be given away, as StableHLO that other machines
# run.
#
# Surprise: the bytes hold the absolute paths of the source files of the machine that exported it,
# user names in them included, and line numbers. So a program that is exported from another folder,
# or after a comment was put above the function, is another file, and digests of files say nothing
# about whether programs are equal. Expected: a file that depends on the program alone.
# Seen: the same function in two folders and below another line gives three different files, each
# with its folder's path; with JAX_TRACEBACK_IN_LOCATIONS_LIMIT=0 it gives one file without a path.
# Hurt are people who publish exported models. t2i_jax sets that limit while it exports.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --only-binary :all: \
  jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6 flatbuffers==25.12.19
cat >"$WORK/program.py" <<'PY'
import sys

import jax
import jax.numpy as jnp
from jax import export


def generator(noise):
    return jnp.tanh(noise) * 2.0


exported = export.export(jax.jit(generator))(jax.ShapeDtypeStruct((3,), jnp.float32))
sys.stdout.buffer.write(exported.serialize())
PY
mkdir "$WORK/alice" "$WORK/bob" "$WORK/commented"
cp "$WORK/program.py" "$WORK/alice"
cp "$WORK/program.py" "$WORK/bob"
{ echo "# A comment."; cat "$WORK/program.py"; } >"$WORK/commented/program.py"
JAX_PLATFORMS=cpu python3 - "$WORK" <<'PY'
import os
import pathlib
import subprocess
import sys

work = pathlib.Path(sys.argv[1])
FOLDERS = ("alice", "bob", "commented")


def exported(folder, **environment):
    command = [work / "venv/bin/python", work / folder / "program.py"]
    environment = os.environ | environment
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout


plain = {name: exported(name) for name in FOLDERS}
bare = {name: exported(name, JAX_TRACEBACK_IN_LOCATIONS_LIMIT="0") for name in FOLDERS}
for title, files in (("as it is", plain), ("limit 0", bare)):
    told = [name for name, data in files.items() if os.fsencode(work / name) in data]
    print(f"{title}: {len(set(files.values()))} different files, with the path of", told or "none")
assert len(set(plain.values())) == 3
assert all(os.fsencode(work / name / "program.py") in data for name, data in plain.items())
assert len(set(bare.values())) == 1
assert os.fsencode(work) not in bare["alice"]
PY
echo "as described"
