"""Runs on a store: training, what it leaves, going on, and the commands that read such runs.

Orbax's own files lie on a local disk here: TensorStore does not write to a store in memory.
"""

import json
import sys

import numpy as np
import pytest
from fake_store import FORBIDDEN, SHOWN
from PIL import Image
from tiny_runs import gan_run
from train_commands import SPEC

from t2i_jax import config as configs
from t2i_jax import owner, paths
from t2i_jax.commands import evaluate, import_weights, sample, train
from t2i_jax.data import on_stores
from t2i_jax.training import loop, networks, runs
from t2i_jax.training.checkpoints import Checkpoints
from t2i_jax.training.step_folder import COMMITTED, SAMPLING, TRAINING, StepFolder

pytestmark = pytest.mark.usefixtures("one_device")

RUN, DATA = "gs://bucket/runs/birds", "gs://bucket/data"


@pytest.fixture
def local_checkpoints(monkeypatch, tmp_path):
    """Checkpoints of every run lie in a local folder of its name; nothing else may."""
    monkeypatch.setattr(
        runs, "checkpoints_dir", lambda workdir: tmp_path / "orbax" / paths.path(workdir).name
    )
    monkeypatch.setenv(on_stores.CACHE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(folder, to: str) -> None:
    """Puts the files below a local folder on the store."""
    for file in folder.rglob("*"):
        if file.is_file():
            paths.write_bytes(paths.path(to) / str(file.relative_to(folder)), file.read_bytes())


def text(name: str) -> str:
    return paths.read_bytes(paths.path(RUN) / name).decode()


def load(*assignments):
    more = [f"data.data_dir={DATA}", "train.log_every=1 steps", "train.sample_every=2 steps"]
    return configs.override(configs.load(SPEC), [*more, *assignments])


def test_a_training_on_a_store(store, local_checkpoints, data_dir, capsys):
    copied(data_dir, DATA)
    loop.train(load("train.duration=2 steps"), RUN)
    printed = capsys.readouterr().err
    assert f"{RUN}: a store has no locks: see to it that nothing else trains there" in printed
    names = {name.partition("runs/birds/")[2] for name in store.uploads}
    assert names - {""} == {
        *("owner.json", "config.json", "tokenizer.json", "provenance.json", "data.json"),
        *("metrics.jsonl", "log.txt", "curves.png", "samples/step_00000002.png"),
        "frozen/encoder.safetensors",
    }
    loop.train(load("train.duration=4 steps"), RUN)  # goes on
    printed = capsys.readouterr().err
    assert f"resumed from step 2 in {RUN}" in printed
    rows = [json.loads(line) for line in text("metrics.jsonl").splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    log = text("log.txt")
    assert log.count("compiled the step") == 2 and log.splitlines()[-1].split(" ", 1)[1] in printed
    assert len(json.loads(text("provenance.json"))["starts"]) == 2
    with (paths.path(RUN) / "curves.png").open("rb") as file:
        assert Image.open(file).format == "PNG"
    assert sorted(path.name for path in local_checkpoints.iterdir()) == ["cache", "orbax"]
    # Another training would take its encoder.
    encoder = networks.resolve("encoder.source", f"{RUN}:encoder", "text")
    np.testing.assert_equal(encoder.variables, networks.load_variables(RUN, "encoder"))
    assert encoder.tokenizer.to_json() == runs.read_tokenizer(RUN).to_json()


def test_a_second_training_is_noticed_by_the_first(store):
    first = owner.take(RUN, "a training")
    first.check()
    second = owner.take(RUN, "a training")
    second.check()
    with pytest.raises(owner.OwnedError, match=f"{RUN} was taken over by a training since"):
        first.check()
    (paths.path(RUN) / owner.FILE).unlink()
    with pytest.raises(FileNotFoundError, match=f"{RUN} was removed, renamed or replaced"):
        second.check()


@pytest.mark.parametrize(
    "workdir, words",
    [
        ("gss://bucket/run", "gss://bucket/run: there is no protocol gss://; write gs://"),
        ("gs:/bucket/run", "gs:/bucket/run: write gs://bucket/run for a store"),
        ("gs://", "names no bucket"),
        ("s3://bucket/run", "s3://bucket/run: checkpoints are kept in local folders and on gs://"),
        (f"gs://{FORBIDDEN}/run", f"gs://{FORBIDDEN}/run/config.json: Forbidden"),
        (f"gs://{SHOWN}/run", f"gs://{SHOWN}/run/owner.json: Forbidden"),
    ],
)
def test_mistakes_are_one_line_and_make_no_folder(
    store, local_checkpoints, data_dir, monkeypatch, capsys, workdir, words
):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as stop:
        train.main([f"--config={SPEC}", f"--workdir={workdir}", f"--data.data_dir={data_dir}"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert stop.value.code == 2 and len(lines) == 1 and words in lines[0]
    assert not list(local_checkpoints.iterdir())


@pytest.mark.parametrize("main", [sample.main, evaluate.main])
@pytest.mark.parametrize(
    "workdir, words",
    [
        ("gss://bucket/run", "there is no protocol gss://"),
        (f"gs://{FORBIDDEN}/run", "Forbidden"),
        ("gs://bucket/nothing", "gs://bucket/nothing is no run directory"),
    ],
)
def test_readers_of_runs_name_the_path(store, monkeypatch, capsys, main, workdir, words):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    more = ["--protocol=tsne"] if main is evaluate.main else []
    with pytest.raises(SystemExit):
        main([f"--workdir={workdir}", *more])
    printed = capsys.readouterr().err
    assert words in printed and workdir in printed and len(printed.splitlines()) == 1


def test_sampling_with_all_its_files_on_a_store(store, local_checkpoints, capsys):
    copied(gan_run(local_checkpoints / "birds", steps=(1,)), RUN)
    paths.write_bytes(paths.path(f"{RUN}/captions.txt"), "\ufeffa red bird\r\n\r\nblue\n".encode())
    capsys.readouterr()
    sample.main([f"--workdir={RUN}", f"--captions_file={RUN}/captions.txt", f"--out={RUN}/out"])
    names = [path.name for path in (paths.path(RUN) / "out").iterdir()]
    assert sorted(names) == ["000_a-red-bird_00.png", "001_blue_00.png", "grid.png"]
    drawn = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrote")]
    assert f"wrote {RUN}/out/grid.png" in drawn
    assert sorted(path.name for path in local_checkpoints.iterdir()) == ["birds", "orbax"]


@pytest.mark.parametrize("source", ["gs://bucket/nothing", "gs://bucket/nothing:encoder"])
def test_a_source_that_is_nowhere(store, source):
    with pytest.raises(FileNotFoundError, match=f"encoder.source='{source}' is neither a run"):
        networks.locate("encoder.source", source, "text")


def test_imported_weights_are_looked_for_on_the_store(store, monkeypatch, capsys):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    for file, words in [
        ("gs://bucket/netG.pth", "there is no such file"),
        (f"gs://{FORBIDDEN}/netG.pth", "Forbidden"),
        ("gss://bucket/netG.pth", "no protocol gss://"),
    ]:
        with pytest.raises(SystemExit):
            import_weights.main(["--system=attn_gan", f"--generator={file}", f"--workdir={RUN}"])
        printed = capsys.readouterr().err
        assert words in printed and file in printed and len(printed.splitlines()) == 1


def test_steps_of_a_store_count_once_orbax_has_committed_them(store, tmp_path):
    from orbax.checkpoint._src.path import atomicity_types

    assert COMMITTED == atomicity_types.COMMIT_SUCCESS_FILE
    step = paths.path("gs://bucket/run/checkpoints/3")
    for item, name in TRAINING.items():
        paths.write_bytes(step / item / name, b"{}")
    assert not StepFolder(step).has(SAMPLING)
    with pytest.raises(FileNotFoundError, match=f"need an empty file {COMMITTED} each"):
        Checkpoints(step.parent, read_only=True).restore_ema()
    paths.write_bytes(step / COMMITTED, b"")
    assert StepFolder(step).has(TRAINING)
    assert Checkpoints(step.parent, read_only=True).steps() == [3]


def test_configs_and_python_paths(store, tmp_path):
    with pytest.raises(ValueError, match="gs://b/x.py:arg: config files lie on local"):
        configs.load("gs://b/x.py:arg")
    with pytest.raises(ValueError, match="write gs://bucket/run for a store"):
        runs.read_config(type(tmp_path)("gs://bucket/run"))  # pathlib has made gs:/ of it
    assert "gs:" not in sys.path
