"""Trainings, preparations and evaluations that Python programs start."""

import contextlib
import importlib
import json
import multiprocessing
import pathlib
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
from devices import use_devices
from PIL import Image
from tiny_runs import gan_run

import t2i_jax
import t2i_jax.api
from t2i_jax.training import loop, runs

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = f"{ROOT / 'configs' / 'gan_int_cls.py'}:debug"


@pytest.fixture(scope="module")
def one_device():
    with pytest.MonkeyPatch.context() as patch:
        use_devices(patch, 1)
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    t2i_jax.prepare("toy_birds", folder, num_images=200, size=32, progress=False)
    return str(folder)


@pytest.fixture(scope="module")
def gan(tmp_path_factory, data_dir):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan", f"data.data_dir={data_dir}")


@contextlib.contextmanager
def untouched():
    """Checks that signals and matplotlib are left as they were."""
    backend, signals = matplotlib.get_backend(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(s) for s in signals]
    matplotlib.use("svg")
    try:
        yield
        assert matplotlib.get_backend() == "svg"
        assert [signal.getsignal(s) for s in signals] == before
    finally:
        matplotlib.use(backend)


# --- preparing -----------------------------------------------------------------------------------


def test_the_report_names_the_set(data_dir, capfd):
    report = t2i_jax.prepare("toy_birds", data_dir, num_images=200, size=32)
    assert report.name == "toy_birds/32px_200_seed0" and report.already
    told = repr(report)
    assert f"{report.name} in {report.path}: train 175 records with 1,750 captions" in told
    assert "test 25 records" in told and "it was prepared before" in told
    assert capfd.readouterr().out == "", "nothing is printed that nobody asked for"


def test_a_preparation_in_a_thread_leaves_what_others_print(tmp_path, capfd, monkeypatch):
    began, printed = threading.Event(), threading.Event()
    from t2i_jax.data.builders.toy_birds import T2iToyBirds

    check = T2iToyBirds.check

    def slow(self, item):
        began.set()
        assert printed.wait(60)
        return check(self, item)

    monkeypatch.setattr(T2iToyBirds, "check", slow)
    with untouched(), ThreadPoolExecutor() as pool:
        made = pool.submit(t2i_jax.prepare, "toy_birds", tmp_path, num_images=8, size=16)
        assert began.wait(60)
        print("from another thread")
        printed.set()
        assert made.result().records == {"train": 8}
    out, err = capfd.readouterr()
    assert out == "from another thread\n" and "toy_birds train: 8 of 8 done" in err


def test_notes_of_a_preparation_are_warnings(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(5):
        Image.new("RGB", (20, 20), (i, 90, 90)).save(photos / f"{i}.png")
    lines = [json.dumps({"image": f"{i}.png", "captions": ["a bird"]}) for i in range(4)]
    (photos / "captions.jsonl").write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="images in the folder .* does not name: 1") as caught:
        report = t2i_jax.prepare("folder", tmp_path / "data", photos, name="mine", progress=False)
    assert report.name == "folder/mine" and sum(report.records.values()) == 4
    assert caught[0].filename == __file__, "it points at the caller"


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((5,), TypeError, "dataset=5: a name is needed, one of .'toy_birds'"),
        (("toy_brids",), ValueError, "Did you mean 'toy_birds'"),
        (("toy_birds", None), TypeError, "data_dir is None: a path is needed"),
        (("folder", "data", 7), TypeError, "source is 7: a path is needed"),
        (("folder", "data"), ValueError, "folder is made from your own files"),
    ],
)
def test_what_cannot_be_prepared_gets_a_sentence(arguments, error, words):
    with pytest.raises(error, match=words):
        t2i_jax.prepare(*arguments)


# --- training ------------------------------------------------------------------------------------


def config_of(data_dir, duration="2 steps"):
    overrides = {"data_dir": data_dir}, {"duration": duration, "sample_every": "0 steps"}
    return t2i_jax.load_config(SPEC, dict(zip(("data", "train"), overrides, strict=True)))


def test_a_training_in_a_thread(data_dir, tmp_path, one_device):
    config = config_of(data_dir, duration="2 steps")
    before = config.to_dict()
    with untouched(), ThreadPoolExecutor() as pool:
        result = pool.submit(t2i_jax.train, config, tmp_path / "run").result()
    assert (result.system, result.step) == ("gan_int_cls", 2)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert result.metrics["d/total"] == pytest.approx(rows[-1]["d/total"])
    assert config.to_dict() == before, "the user's config is the user's"
    assert runs.read_config(tmp_path / "run").data.name == "toy_birds/32px_200_seed0"
    sampler = t2i_jax.Sampler.from_workdir(result.workdir)
    assert "step=2" in repr(sampler) and sampler.sample("a red bird").shape == (1, 32, 32, 3)


def test_an_interrupt_saves_and_the_same_call_goes_on(
    data_dir, tmp_path, one_device, monkeypatch, capfd
):
    """As a notebook's stop button: SIGINT in the middle of a step, to the main thread."""
    config, workdir = config_of(data_dir, duration="4 steps"), tmp_path / "run"
    config.train.checkpoint_every = "4 steps"
    log = loop.Training._log

    def interrupted(self, done, window):
        if done == 2:
            signal.raise_signal(signal.SIGINT)
        return log(self, done, window)

    with monkeypatch.context() as patch, untouched():
        patch.setattr(loop.Training, "_log", interrupted)
        with pytest.raises(KeyboardInterrupt, match="interrupted. The same call goes on from step"):
            t2i_jax.train(config, workdir)
    saved = runs.latest_step(workdir)
    assert saved in (2, 3)
    result = t2i_jax.train(config, workdir)
    assert result.step == 4 and f"resumed from step {saved}" in capfd.readouterr().err


@pytest.mark.parametrize("where, heard", [("_make_pipeline", 0), ("_steps", 1)])
def test_an_interrupt_that_ends_a_training_at_once(
    data_dir, tmp_path, one_device, monkeypatch, where, heard
):
    """Before the first step one does, in a step the second."""
    passed = []

    def interrupt(*_):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            passed.append(1)

    monkeypatch.setattr(loop.Training, where, interrupt)
    with untouched(), pytest.raises(KeyboardInterrupt, match="The same call begins anew"):
        t2i_jax.train(config_of(data_dir), tmp_path / "run")
    assert len(passed) == heard
    if where == "_steps":  # when the config has been written
        other = config_of(data_dir)
        other.loss.g.interp = 0.5
        with pytest.raises(ValueError, match="no step of it was saved: remove it to begin anew"):
            t2i_jax.train(other, tmp_path / "run")


def test_one_training_at_a_time(data_dir, tmp_path, monkeypatch):
    began, told = threading.Event(), threading.Event()

    def train(*_):
        began.set()
        assert told.wait(60)
        raise ValueError("enough")

    monkeypatch.setattr(loop, "train", train)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(t2i_jax.train, config_of(data_dir), tmp_path / "a")
        assert began.wait(60)
        with pytest.raises(RuntimeError, match="another training runs in this process"):
            t2i_jax.train(config_of(data_dir), tmp_path / "b")
        told.set()
        with pytest.raises(ValueError, match="enough"):
            first.result()
    with pytest.raises(ValueError, match="enough"):  # and after it, another one may
        t2i_jax.train(config_of(data_dir), tmp_path / "b")


def test_evaluators_and_the_tokenizer_that_the_user_set_reach_the_loop(
    data_dir, tmp_path, monkeypatch
):
    seen = {}

    def train(config, workdir, evaluators, stopping, given):
        seen.update(given=given, evaluators=evaluators)
        raise ValueError("enough")

    monkeypatch.setattr(loop, "train", train)
    config = config_of(data_dir)
    config.tokenizer.length = 25
    with pytest.raises(ValueError, match="enough"):
        t2i_jax.train(config, tmp_path)
    assert "tokenizer.length" in seen["given"]
    from t2i_jax.commands.train import evaluators

    assert seen["evaluators"] is evaluators


def test_a_workdir_that_is_none_gets_a_sentence(data_dir):
    for workdir in (None, 5, ""):
        with pytest.raises(TypeError, match="workdir is .*: a path is needed"):
            t2i_jax.train(config_of(data_dir), workdir)


# --- evaluating ----------------------------------------------------------------------------------


def test_a_protocol_of_pictures(gan, tmp_path, capfd):
    with untouched(), ThreadPoolExecutor() as pool:
        asked = pool.submit(t2i_jax.evaluate, gan, "grid", num=2, out=tmp_path, step=1)
        found = asked.result()
    assert (found.protocol, found.step, found.values) == ("grid", 1, {})
    assert [file.name for file in found.files] == ["grid.png", "grid.json"]
    drawn = np.asarray(Image.open(tmp_path / "grid.png"))
    np.testing.assert_array_equal(np.asarray(found.pictures["grid"]), drawn)
    assert found.details["captions"] == json.loads((tmp_path / "grid.json").read_text())["captions"]
    assert capfd.readouterr().out == ""


def test_a_protocol_of_numbers(gan):
    found = t2i_jax.evaluate(gan, "diversity", num=2)
    lines = [json.loads(x) for x in (gan / "evaluation" / "results.jsonl").open()]
    assert lines[-1]["values"] == found.values and found.values["mean_distance"] > 0
    assert found.conditions["count"] == 2 and found.step == 2
    assert lines[-1]["conditions"]["run"]["options"] == {"num": 2}
    assert "mean_distance" in found._repr_html_()


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        ((None, "grid"), {}, ValueError, "--workdir is needed"),
        ((7, "grid"), {}, TypeError, "workdir is 7"),
        (("nowhere", 5), {}, TypeError, "protocol=5: a name is needed"),
        (("nowhere", "grit"), {}, ValueError, "'grit'.*'grid'"),
        (("nowhere", "grid"), {"numm": 5}, ValueError, "no option 'numm'; did you mean 'num'"),
        (("nowhere", "grid"), {"watch": True}, ValueError, "no option 'watch'"),
        (("nowhere", "grid"), {"num": 0}, ValueError, "num=0: must be a whole number"),
        (("nowhere", "grid"), {"num": [4, 8]}, ValueError, "invalid int value"),
        (("nowhere", "grid"), {"features": "x"}, ValueError, "--features is not for"),
        (("nowhere", "grid"), {"out": 5}, TypeError, "out is 5: a name or a path is needed"),
        (("nowhere", "rating"), {"against": ["runs/b", 5]}, TypeError, "against is 5"),
        (("nowhere", "grid"), {}, FileNotFoundError, "nowhere is no run directory"),
    ],
)
def test_what_cannot_be_evaluated_gets_a_sentence(arguments, options, error, words):
    with pytest.raises(error, match=words):
        t2i_jax.evaluate(*arguments, **options)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train", "prepare", "evaluate"])
def test_importing_the_module_of_a_command_does_not_hide_the_function(name):
    function = getattr(t2i_jax.api, name)
    assert importlib.import_module(f"t2i_jax.{name}") is function
    assert getattr(t2i_jax, name) is function and callable(function)
    shown = subprocess.run(
        [sys.executable, "-m", f"t2i_jax.{name}", "--help"], capture_output=True, text=True
    )
    assert shown.returncode == 0 and f"usage: python -m t2i_jax.{name}" in shown.stdout
    assert shown.stderr == ""


def test_the_modules_of_commands_run_in_spawned_processes(monkeypatch):
    """A process that a command spawns imports the command's module under another name."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", importlib.machinery.ModuleSpec("t2i_jax.train", None))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_name_of_main) == ("t2i_jax.train", "function")


def _name_of_main() -> tuple[str, str]:
    """Of a spawned process: what its main module is, and what the package then has by its name."""
    main = sys.modules["__mp_main__"]
    return main.__spec__.name, type(t2i_jax.train).__name__


def test_the_package_offers_them():
    for name in t2i_jax.__all__:
        assert getattr(t2i_jax, name) is not None and name in dir(t2i_jax)
