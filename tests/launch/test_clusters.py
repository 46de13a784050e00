"""The scripts for Slurm, TPU VMs and GKE, with stand-ins for the programs that they call: the words
of a training reach python as they were given, and it may save, end and go on.
"""

import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from launch.scripts import HARD, ROOT, TRAIN, Programs, load

gke = load("gke_jobset")
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
KUBECTL = """#!/usr/bin/env bash
echo "$*" >"$NOTES.kubectl"
cat >"$NOTES.yaml"
exit "${STATUS:-0}"
"""


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)


def run(words, env, **options) -> subprocess.CompletedProcess:
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, **options)


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


OPTIONS = ["--name=birds", "--image=here/t2i:1", "--topology=4x4", "--bucket=mine"]


def created(programs, tmp_path, *options) -> dict:
    command = [sys.executable, ROOT / "launch" / "gke_jobset.py", *OPTIONS, *options, "--", *HARD]
    done = run(command, programs.env())
    assert done.returncode == 0, done.stderr
    return yaml.safe_load((tmp_path / "notes.jsonl.yaml").read_text())


def expanded(word: str) -> str:
    """As Kubernetes reads a word of a command where no variable is known: $$ is $."""
    return word.replace("$$", "$")


def test_gke_hands_on_every_word(programs, tmp_path):
    programs.add("kubectl", KUBECTL)
    jobset = created(programs, tmp_path)
    assert (tmp_path / "notes.jsonl.kubectl").read_text() == "create -f -\n"
    (container,) = pod(jobset)["containers"]
    places = ["--workdir=gs://mine/runs/birds", "--data.data_dir=gs://mine/data"]
    words = ["python", *TRAIN, *places, *HARD]
    assert [expanded(word) for word in container["command"]] == words
    assert not [w for w in container["command"] if "$(" in w.replace("$$", "")]


def pod(jobset: dict) -> dict:
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]


def test_gke_gives_hosts_chips_and_time(programs, tmp_path):
    programs.add("kubectl", KUBECTL)
    options = ["--topology=8x16", "--chips=8", "--grace=300", "--restarts=50"]
    jobset = created(programs, tmp_path, *options, "--accelerator=tpu-v6e-slice")
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert (job["parallelism"], job["completions"], job["completionMode"]) == (16, 16, "Indexed")
    assert pod(jobset)["terminationGracePeriodSeconds"] == 300
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 50
    assert pod(jobset)["containers"][0]["resources"]["limits"] == {"google.com/tpu": 8}
    assert set(pod(jobset)["nodeSelector"].values()) == {"tpu-v6e-slice", "8x16"}


# What the CRD of jobset.x-k8s.io/v1alpha2 says of the fields that we use: the type of each, (a
# list's items,) or the values it may have; fields with "!" must be there.
FIELDS = {
    "apiVersion": {"jobset.x-k8s.io/v1alpha2"},
    "kind": {"JobSet"},
    "metadata": {"name": str, "annotations": dict},
    "spec": {
        "failurePolicy": {
            "maxRestarts": int,
            "restartStrategy": {"Recreate", "BlockingRecreate"},
            "rules": (
                {
                    "name!": str,
                    "action!": {
                        "FailJobSet",
                        "RestartJobSet",
                        "RestartJobSetAndIgnoreMaxRestarts",
                    },
                    "onJobFailureReasons": (str,),
                },
            ),
        },
        "replicatedJobs": ({"name!": str, "replicas": int, "template!": {"spec": dict}},),
    },
}


def check(value, known, where: str) -> None:
    """AssertionError where a value is not what `known` says."""
    if isinstance(known, set):
        assert value in known, where
    elif isinstance(known, tuple):
        assert isinstance(value, list), where
        for i, item in enumerate(value):
            check(item, known[0], f"{where}[{i}]")
    elif isinstance(known, dict):
        names = {name.rstrip("!"): kind for name, kind in known.items()}
        needed = {name.rstrip("!") for name in known if name.endswith("!")}
        assert needed <= value.keys() <= names.keys(), where
        for name, item in value.items():
            check(item, names[name], f"{where}.{name}")
    else:
        assert isinstance(value, known), where


def test_gke_manifest_is_what_the_crd_asks_for():
    jobset = yaml.safe_load(gke.manifest(gke.parse([*OPTIONS, "--", *HARD])))
    check(jobset, FIELDS, "")
    (rule,) = jobset["spec"]["failurePolicy"]["rules"]
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    # The reason that a Job has failed for, where a rule of its podFailurePolicy ended it.
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    (condition,) = job["podFailurePolicy"]["rules"][0]["onPodConditions"]
    assert condition == {"type": "DisruptionTarget", "status": "True"}  # the CRD has no default
    assert job["backoffLimit"] == 0 and pod(jobset)["restartPolicy"] == "Never"


def test_gke_job_is_one_that_kubernetes_knows():
    validate = pytest.importorskip("kubernetes_validate").validate
    jobset = yaml.safe_load(gke.manifest(gke.parse([*OPTIONS, "--", *HARD])))
    template = jobset["spec"]["replicatedJobs"][0]["template"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, **template}
    for version in ("1.28", "1.31"):
        validate(job, version, strict=True)


def test_gke_dry_run_prints_the_manifest(capsys, monkeypatch):
    words = [*OPTIONS, "--dry_run", "--", *HARD]
    monkeypatch.setattr(sys, "argv", ["gke_jobset.py", *words])
    assert gke.main() == 0
    assert capsys.readouterr().out == gke.manifest(gke.parse(words))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([*OPTIONS, "--name=My_Birds", "--", "--config=x"], "--name=My_Birds: at most 40"),
        ([*OPTIONS, "--topology=4by4", "--", "--config=x"], "must be AxB"),
        ([*OPTIONS, "--topology=1x2", "--", "--config=x"], "no whole number of hosts of 4"),
        (OPTIONS, "what to train is missing"),
    ],
)
def test_gke_refuses(words, why, capsys):
    with pytest.raises(SystemExit) as stop:
        gke.parse(words)
    assert stop.value.code == 2 and why in capsys.readouterr().err


def test_gke_without_kubectl(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["gke_jobset.py", *OPTIONS, "--", *HARD])
    assert gke.main() == 2 and "there is no kubectl" in capsys.readouterr().err
