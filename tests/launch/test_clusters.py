"""The scripts for Slurm and TPU VMs, with stand-ins for the programs that they call: the words
of a training reach python as they were given, and it may save, end and go on.
"""

import shutil
import signal
import subprocess
import sys
import time

import pytest

from launch.scripts import HARD, ROOT, TRAIN, Programs, run

SCRIPTS = sorted((ROOT / "launch").glob("*.sh"))

# As Slurm runs a script: a copy of it elsewhere, in the folder where it was submitted, again if it
# asks for that.
SBATCH = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do shift; done
cp "$1" "$SPOOL/slurm_script"
shift
export SLURM_JOB_ID=77
bash "$SPOOL/slurm_script" "$@" &
echo $! >"$SPOOL/pid"
wait
if rm "$SPOOL/requeued" 2>/dev/null; then ACT= bash "$SPOOL/slurm_script" "$@"; fi
"""
SRUN = """#!/usr/bin/env bash
"$@" & first=$!
"$@" & second=$!
trap 'kill -TERM $first $second' TERM
wait $first; wait $first; status=$?
wait $second
exit $status
"""
SCONTROL = """#!/usr/bin/env bash
[ "$*" = "requeue 77" ] && touch "$SPOOL/requeued"
"""
# Of several hosts: each has the words joined by a shell of its own, and the status is lost, as
# gcloud's threads lose it.
GCLOUD = """#!{python}
import os, subprocess, sys
command = next(a for a in sys.argv if a.startswith("--command=")).partition("=")[2]
with open(os.environ["NOTES"] + ".gcloud", "a") as file:
    print(sys.argv[1:-1], file=file)
for worker in range(2):
    env = dict(os.environ, STATUS=os.environ.get("STATUS", "0") if worker else "0")
    if os.path.exists(os.environ["NOTES"] + ".well"):
        env["STATUS"] = "0"
    subprocess.run(["bash", "-c", " ".join(command.split(" "))], env=env, cwd=os.environ["HOSTS"])
open(os.environ["NOTES"] + ".well", "w").close()
"""


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_syntax(path):
    subprocess.run(["bash", "-n", path], check=True)
    if checker := shutil.which("shellcheck"):
        found = run([checker, "-x", "--source-path=SCRIPTDIR", path], None)
        assert not found.stdout


@pytest.fixture
def slurm(programs, tmp_path):
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
        programs.add(name, text)
    (tmp_path / "spool").mkdir()
    return {"SPOOL": str(tmp_path / "spool")}


def sbatch(env, **options):
    return run(["sbatch", "--nodes=2", ROOT / "launch" / "slurm.sh", *HARD], env, **options)


def test_slurm_hands_on_every_word(programs, slurm, tmp_path):
    done = sbatch(programs.env(**slurm), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert programs.calls() == [[*TRAIN, *HARD]] * 2


def test_slurm_saves_before_the_limit_and_is_queued_again(programs, slurm, tmp_path):
    """SIGUSR1 to the script alone, SIGTERM to the processes, and then the same command."""
    env = programs.env(**slurm, ACT="wait")
    command = ["sbatch", "--nodes=2", ROOT / "launch" / "slurm.sh", *HARD]
    job = subprocess.Popen(command, env=env, cwd=tmp_path)
    waits = tmp_path / "notes.jsonl.waits"
    while not waits.exists() or len(programs.calls()) < 2:
        assert job.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)
    script = int((tmp_path / "spool" / "pid").read_text())
    subprocess.run(["kill", "-USR1", str(script)], check=True)
    assert job.wait(30) == 0
    assert programs.calls() == [[*TRAIN, *HARD]] * 4


@pytest.mark.parametrize("number", [signal.SIGTERM, None], ids=["scancel", "fails"])
def test_slurm_is_not_queued_again_otherwise(number, programs, slurm, tmp_path):
    env = programs.env(**slurm, SLURM_JOB_ID="77", ACT="wait" if number else "", STATUS="2")
    job = subprocess.Popen(["bash", ROOT / "launch" / "slurm.sh", *HARD], env=env)
    if number:
        while len(programs.calls()) < 2:
            time.sleep(0.02)
        time.sleep(0.2)
        job.send_signal(number)
    assert job.wait(30) == (143 if number else 2)
    assert not (tmp_path / "spool" / "requeued").exists()


def test_slurm_asks_for_what_that_needs():
    lines = (ROOT / "launch" / "slurm.sh").read_text().splitlines()
    asked = {line.split()[1] for line in lines if line.startswith("#SBATCH")}
    assert {"--requeue", "--open-mode=append", "--signal=B:USR1@180"} <= asked
    # Slurm reads no option after the first command.
    assert not [line for line in lines[lines.index("set -euo pipefail") :] if "#SBATCH" in line]


def test_dry_runs_of_scripts_print_what_they_run(programs, slurm, tmp_path):
    """As the shell reads it; nothing is called."""
    env = programs.env(**slurm, TPU="slice", ZONE="here", HOSTS=str(tmp_path))
    (tmp_path / "t2i_jax").mkdir()
    programs.add("gcloud", GCLOUD.format(python=sys.executable))
    for script in ("slurm", "tpu_vm"):
        command = ["bash", ROOT / "launch" / f"{script}.sh", "--dry_run", *HARD]
        printed = run(command, env).stdout
        assert not programs.calls()
        assert run(["bash", "-c", printed], env).returncode == 0
        assert programs.calls() == [[*TRAIN, *HARD]] * 2
        programs.notes.unlink()


def tpu_vm(programs, tmp_path, *words, **variables):
    programs.add("gcloud", GCLOUD.format(python=sys.executable))
    (tmp_path / "my t2i").mkdir()
    variables |= {"TPU": "slice", "ZONE": "here", "FOLDER": "my t2i", "HOSTS": str(tmp_path)}
    return run(["bash", ROOT / "launch" / "tpu_vm.sh", *words], programs.env(**variables))


def test_tpu_vm_hands_on_every_word(programs, tmp_path):
    done = tpu_vm(programs, tmp_path, *HARD)
    assert done.returncode == 0, done.stderr
    assert programs.calls() == [[*TRAIN, *HARD]] * 2
    (called,) = (tmp_path / "notes.jsonl.gcloud").read_text().splitlines()
    words = ["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone=here", "--worker=all"]
    assert called == str(words)


def test_tpu_vm_knows_that_a_host_failed(programs, tmp_path):
    """Though gcloud says that all is well."""
    assert tpu_vm(programs, tmp_path, *HARD, STATUS="143").returncode == 143


def test_tpu_vm_goes_on_by_itself(programs, tmp_path):
    done = tpu_vm(programs, tmp_path, *HARD, STATUS="143", RESTARTS="3", PAUSE="0")
    assert done.returncode == 0
    assert done.stderr.count("status 143; going on from the last checkpoint") == 1
    assert programs.calls() == [[*TRAIN, *HARD]] * 4


def test_tpu_vm_that_cannot_be_reached(programs, tmp_path):
    programs.add("gcloud", "#!/usr/bin/env bash\n")
    env = programs.env(TPU="slice", ZONE="here")
    assert run(["bash", ROOT / "launch" / "tpu_vm.sh", *HARD], env).returncode == 255
    lost = run(["bash", ROOT / "launch" / "tpu_vm.sh", *HARD], programs.env(TPU="slice"))
    assert lost.returncode != 0 and "ZONE: its zone" in lost.stderr
