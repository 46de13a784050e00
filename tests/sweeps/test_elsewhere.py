"""Commands for other machines: printed, and as a Slurm array; and evaluations after trainings."""

import json
import pathlib
import shlex
import subprocess
import sys

import pytest

from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.sweeps import points

NEEDS = """
def sweep():
    yield {"name": "second", "frozen.damsm": "{workdir}/first", "data.split": "train"}
    yield {"name": "first", "train.duration": "5 steps"}
"""
# A stand-in for t2i_jax.evaluate that notes its arguments.
EVALUATE = """
import pathlib, sys
from t2i_jax.evaluation import results
given = dict(a[2:].split("=", 1) for a in sys.argv[1:])
run = pathlib.Path(given["workdir"])
step = max(int(p.name) for p in (run / "checkpoints").iterdir())
protocol = given.pop("protocol")
del given["workdir"]
print(protocol, run.name)
if protocol == "failures":
    sys.exit("error: no such thing")
options = {"num": 1000} | {k: int(v) if v.isdigit() else v for k, v in given.items()}
conditions = {"run": {"options": options}}
record = results.Record(protocol=protocol, step=step, values={"x": 0.5}, conditions=conditions)
results.append(run / results.FOLDER, record)
"""


def test_printed_commands_do_the_sweep(place, tmp_path):
    """In a shell, in the order in which they are printed; and then nothing is left."""
    place.write(NEEDS)
    status, out, _ = place("--print")
    assert status == 0 and not place.starts()
    first, second = out.splitlines()
    assert "'--train.duration=5 steps'" in first and f"T2I_JAX_CAPTION_CACHE={place.runs}" in first
    assert (
        shlex.split(first)[1] == "python" and f"--frozen.damsm={place.runs}/seed0/first" in second
    )
    script = out.replace(" python ", f" {sys.executable} ")
    subprocess.run(["bash", "-euc", script], check=True, timeout=60)
    assert place.started() == ["seed0/first", "seed0/second"]
    status, out, _ = place("--print")
    assert out == "# seed0/first is finished\n# seed0/second is finished\n"


def test_a_slurm_array(place, tmp_path):
    """Submitted to a stand-in of sbatch, which runs every task at once, in a folder of its own."""
    place.write(NEEDS)
    root = pathlib.Path(__file__).resolve().parents[2]
    assert place("--seeds=7,", "--index=0")[0] == 1  # what it needs is not there
    status, out, _ = place("--seeds=7,", "--slurm=--time=1:00:00 --comment='a b'", "--jobs=2")
    assert status == 0 and not place.starts()
    script = place.runs / "slurm_array.sh"
    assert f"# wrote {script}" in out and "--signal=B:TERM@120\n" in script.read_text()
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "sbatch").write_text(f"""#!/usr/bin/env bash
printf '%s\\n' "$*" >> {tmp_path}/sbatch.log
for last; do case "$last" in --array=*) tasks="${{last#*=}}";; esac; done
cd /
SLURM_ARRAY_TASK_ID="${{tasks%\\%*}}" bash "$last" >> {tmp_path}/tasks.log 2>&1
echo 77
""")
    (binaries / "sbatch").chmod(0o755)
    path = f"{binaries}:{pathlib.Path(sys.executable).parent}:/usr/bin:/bin"
    env = {"PATH": path, "STAND_IN": str(tmp_path / "stand_in.json"), "PYTHONPATH": str(root)}
    subprocess.run(["bash", "-euc", out], check=True, timeout=120, env=env, cwd=root)
    first, second = (tmp_path / "sbatch.log").read_text().splitlines()
    options = "--time=1:00:00 --comment=a b"
    assert first == f"--parsable --array=1%2 {options} {script}"
    assert second == f"--parsable --array=0%2 {options} --dependency=afterany:77 {script}"
    done = dict.fromkeys(("seed7/second", "seed7/first"), "done")
    assert place.statuses() == done, (tmp_path / "tasks.log").read_text()
    assert place("--seeds=7,", "--slurm")[1] == "every point is finished\n"
    status, out, _ = place("--seeds=3", "--slurm")
    assert status == 0 and "--array=1,3,5 " in out and "--array=0,2,4 " in out


def test_a_slurm_array_in_a_folder_with_spaces(place):
    """Its options and its command are read as they were meant."""
    runs = place.folder / "my runs"
    status, out, _ = place(f"--workdir={runs}", "--slurm")
    assert status == 0 and shlex.split(out.splitlines()[1])[-1].startswith(f"{runs}/slurm_array.sh")
    lines = (runs / "slurm_array.sh").read_text().splitlines()
    (output,) = [line for line in lines if line.startswith("#SBATCH --output")]
    assert shlex.split(output)[1:] == [f"--output={runs}/slurm_%A_%a.log"]
    (command,) = [line for line in lines if line.startswith("exec")]
    assert f"--workdir={runs}" in shlex.split(command)


def test_slurm_starts_a_process_on_every_node(place):
    """As the script for single trainings does, which an installed package lacks."""
    root = pathlib.Path(__file__).resolve().parents[2]
    assert place(f"--train_command={shlex.join(points.TRAIN)}", "--slurm")[0] == 0
    lines = (place.runs / "slurm_array.sh").read_text().splitlines()
    assert "#SBATCH --signal=TERM@120" in lines  # of the steps
    (last,) = [line for line in lines if "exec" in line]
    command = f"srun {sys.executable} -m t2i_jax.train --multihost"
    assert f"--train_command={command}" in shlex.split(last)
    script = (root / "launch/slurm.sh").read_text()
    assert command.replace(sys.executable, "python") in script


def test_runs_on_a_store(place, store):
    """Nothing local is named that other machines lack."""
    status, out, _ = place("--workdir=gs://bucket/grid", "--print")
    assert status == 0 and len(out.splitlines()) == 3 and "CACHE" not in out
    assert "--workdir=gs://bucket/grid/seed0/half" in out
    told = json.loads(paths.read_bytes(paths.path("gs://bucket/grid/sweep.json")))
    assert [row["workdir"] for row in told["points"]] == ["seed0/none", "seed0/half", "seed0/full"]
    assert told["points"][0]["log"].startswith("/")


@pytest.fixture
def evaluated(place, monkeypatch):
    """Sweeps of one point whose evaluations are a stand-in."""
    script = place.folder / "evaluate.py"
    script.write_text(EVALUATE)
    monkeypatch.setattr(points, "EVALUATE", (sys.executable, str(script)))
    place.write("def sweep():\n    yield {'name': 'a'}\n")
    return place


def records(place):
    found, damaged = results.read(place.runs / "seed0/a" / results.FOLDER)
    assert not damaged
    options = [record.conditions["run"]["options"] for record in found]
    return [(x.protocol, x.step, o.get("num")) for x, o in zip(found, options, strict=True)]


def test_what_is_finished_is_evaluated_once(evaluated):
    evals = ("--eval=--protocol=retrieval --num=5", "--eval=--protocol=tsne")
    assert evaluated(*evals)[0] == 0
    assert records(evaluated) == [("retrieval", 4, 5), ("tsne", 4, 1000)]
    assert evaluated(*evals)[0] == 0 and len(records(evaluated)) == 2
    assert evaluated(*evals, "--train.duration=6 steps")[0] == 0
    assert records(evaluated)[2:] == [("retrieval", 6, 5), ("tsne", 6, 1000)]
    told = json.loads((evaluated.runs / "sweep.json").read_text())
    assert told["evals"] == ["--protocol=retrieval --num=5", "--protocol=tsne"]
    assert len(evaluated.starts()) == 2


def test_one_protocol_with_several_options(evaluated):
    """Each is evaluated, and one that was changed is another."""
    evals = ("--eval=--protocol=retrieval --num=5", "--eval=--protocol=retrieval --num=6")
    for _ in range(2):
        assert evaluated(*evals)[0] == 0
        assert records(evaluated) == [("retrieval", 4, 5), ("retrieval", 4, 6)]
    assert evaluated("--eval=--protocol=retrieval --num=5 --split=val")[0] == 0
    assert len(records(evaluated)) == 3


def test_an_evaluation_that_fails_is_said_and_tried_again(evaluated):
    good = "--eval=--protocol=tsne"
    for times in (1, 2):
        status, out, _ = evaluated("--eval=--protocol=failures", good)
        assert status == 1 and "no such thing" in out
        assert evaluated.points()["seed0/a"]["error"] == "no such thing"
        log = (evaluated.runs / "seed0/a.log").read_text()
        assert log.count("\nfailures a\n") == times
    assert len(evaluated.starts()) == 1 and records(evaluated) == []
    assert evaluated(good)[0] == 0 and records(evaluated) == [("tsne", 4, 1000)]
