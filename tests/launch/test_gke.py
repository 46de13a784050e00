"""launch/gke_jobset.py, with a stand-in of kubectl: words of a training reach its command as they
were given, and the manifest is one that JobSet and Kubernetes know.
"""

import sys

import pytest
import yaml

from launch.scripts import HARD, ROOT, TRAIN, Programs, load, run

gke = load("gke_jobset")
KUBECTL = """#!/usr/bin/env bash
echo "$*" >"$NOTES.kubectl"
cat >"$NOTES.yaml"
exit "${STATUS:-0}"
"""


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)


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
