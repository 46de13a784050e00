"""Checkpoints survive what runs meet: other devices, kills, full disks, damaged files."""

import contextlib
import json
import math
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import sys
import time

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from t2i_jax.training import leaves
from t2i_jax.training.checkpoints import Checkpoints, check_same_run, compare_configs
from t2i_jax.training.step_folder import StepFolder

HELPER = pathlib.Path(__file__).with_name("checkpoint_process.py")
CONFIG = {"model": {"channels": 64}}


@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict
    opt: tuple


def make_state(seed=0, width=24) -> State:
    """A state of every kind of leaf that a training has; values are random."""
    rng = np.random.default_rng(seed)
    params = {
        "g": {"kernel": jnp.asarray(rng.normal(size=(8, width)), jnp.float32)},
        "half": jnp.asarray(rng.normal(size=(4, 3)), jnp.bfloat16),
        "key": jnp.asarray(rng.integers(0, 2**32, size=2, dtype=np.uint32)),
    }
    opt = optax.adam(1e-3).init(params["g"])
    return State(step=jnp.asarray(seed, jnp.int32), params=params, opt=opt)


def abstract(tree, sharding=None):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def save(checkpoints, step, state=None, **kwargs):
    state = make_state(step) if state is None else state
    ema = {"params": state.params}
    return checkpoints.save(
        step, ema=ema, train=state, data={"position": step}, config=CONFIG, **kwargs
    )


def mesh_of(devices):
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_round_trip(tmp_path, asynchronous):
    with Checkpoints(tmp_path, asynchronous=asynchronous) as checkpoints:
        assert checkpoints.latest_step() is None
        assert save(checkpoints, 3)
        assert not save(checkpoints, 3)  # is saved already
        assert not save(checkpoints, 3, force=True)
        state = make_state(3)
        ema, train, data, config = checkpoints.restore_train(
            None, abstract(state), {"params": abstract(state.params)}
        )
        assert checkpoints.latest_step() == 3
    assert_same(train, state)
    assert_same(ema, {"params": state.params})
    assert data == {"position": 3} and config == CONFIG
    ema, config = Checkpoints(tmp_path, read_only=True).restore_ema()
    assert_same(ema, {"params": state.params})
    assert config == CONFIG
    assert checkpoints.restore_train(3, abstract(state))[0] is None  # the EMA was not asked for
    assert_same(checkpoints.restore_live("g"), {"params": {"g": state.params["g"]}})
    with pytest.raises(ValueError, match="3 has no network 'd'"):
        checkpoints.restore_live("d")


def test_asynchronous_save_keeps_the_values_of_its_step(tmp_path):
    """Later steps donate the saved buffers, and a NumPy leaf or the data's dict may be changed."""
    bump = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    state = {"a": jnp.arange(2.0**20), "b": jnp.ones((300, 300))}
    host, data = np.arange(5.0, dtype=np.float32), {"position": 1}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, ema=state["b"], train={**state, "n": host}, data=data, config={})
        host[:], data["position"] = -1, 2
        for _ in range(3):
            state = bump(state)
        _, train, data, _ = checkpoints.restore_train(
            1, {"a": state["a"], "b": state["b"], "n": host}
        )
    np.testing.assert_array_equal(train["a"], np.arange(2.0**20))
    np.testing.assert_array_equal(train["b"], np.ones((300, 300)))
    np.testing.assert_array_equal(train["n"], np.arange(5))
    assert data == {"position": 1}


@pytest.mark.parametrize("saved_on, restored_on", [(1, 4), (4, 1), (4, 2)])
def test_other_device_count(tmp_path, saved_on, restored_on):
    def place(tree, count):
        mesh = mesh_of(jax.devices()[:count])
        spec = lambda x: P("data") if x.ndim and x.shape[0] % 4 == 0 else P()  # noqa: E731
        return jax.tree.map(lambda x: NamedSharding(mesh, spec(x)), tree)

    state = make_state()
    with Checkpoints(tmp_path) as checkpoints:
        save(checkpoints, 1, jax.device_put(state, place(state, saved_on)))
        target = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
            state,
            place(state, restored_on),
        )
        train = checkpoints.restore_train(1, target)[1]
    assert_same(train, state)
    assert train.params["g"]["kernel"].sharding == target.params["g"]["kernel"].sharding
    ema, _ = checkpoints.restore_ema()
    for leaf in jax.tree.leaves(ema):
        assert leaf.sharding == SingleDeviceSharding(jax.devices()[0])
    assert_same(ema, {"params": state.params})


def test_another_model_is_refused_with_the_leaves(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        save(checkpoints, 1)
        other = abstract(make_state(width=32))
        other.params["half"] = jax.ShapeDtypeStruct((4, 3), jnp.float32)
        other.params["new"] = jax.ShapeDtypeStruct((), jnp.float32)
        del other.params["key"]
        with pytest.raises(ValueError, match="6 leaves differ") as error:
            checkpoints.restore_train(1, other)
        for line in (
            "train/params/g/kernel: saved float32[8,24], now float32[8,32]",
            "train/opt/0/mu/kernel: saved float32[8,24], now float32[8,32]",
            "train/params/half: saved bfloat16[4,3], now float32[4,3]",
            "train/params/new: saved absent, now float32[]",
            "train/params/key: saved uint32[2], now absent",
        ):
            assert line in str(error.value)
        many = {f"w{i}": jax.ShapeDtypeStruct((1,), jnp.float32) for i in range(20)}
        with pytest.raises(ValueError, match="and 17 more"):  # 20 new, 7 old
            checkpoints.restore_train(1, many)


def test_missing_checkpoints_are_errors(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(FileNotFoundError, match="no whole checkpoint in"):
            checkpoints.restore_train(None, abstract(make_state()))
        save(checkpoints, 4)
        with pytest.raises(FileNotFoundError, match=r"step 5 in .*; there are \[4\]"):
            checkpoints.restore_ema(5)
    reader = Checkpoints(tmp_path / "none", read_only=True)
    with pytest.raises(FileNotFoundError):
        reader.restore_ema()
    with pytest.raises(ValueError, match="read_only"):
        save(reader, 1)
    assert not (tmp_path / "none").exists()


def test_states_that_cannot_be_saved(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:

        def attempt(train, data=None):
            checkpoints.save(1, ema={"a": np.ones(1)}, train=train, data=data or {}, config={})

        with pytest.raises(TypeError, match="'k' is a typed PRNG key"):
            attempt({"k": jax.random.key(0)})
        with pytest.raises(ValueError, match="'e' is empty"):
            attempt({"e": jnp.zeros((0, 3))})
        with pytest.raises(TypeError, match="'s' is no array"):
            attempt({"s": "text"})
        with pytest.raises(ValueError, match="'train' has no arrays"):
            attempt({})
        with pytest.raises(ValueError, match="two leaves"):
            attempt({"a/b": np.ones(1), "a": {"b": np.ones(1)}})
        with pytest.raises(TypeError, match="'data' must be a JSON dict"):
            attempt({"a": np.ones(1)}, data={"x": np.ones(1)})
        assert checkpoints.steps() == []
        save(checkpoints, 7)
        with pytest.raises(ValueError, match="older than the latest checkpoint 7"):
            save(checkpoints, 5)
        assert save(checkpoints, 5, force=True)


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"a.b": 0.0, "a": {"b": 1.0}}, ("a.b", "a/b")),
        ({"g": {"x.y": {"z": 0.0}, "x": {"y": {"z": 1.0}}}}, ("g/x.y/z", "g/x/y/z")),
        ({"p": [{"1.k": 0.0}, {"k": 1.0}], "p.1": {"k": 2.0}}, ("p/1/k", "p.1/k")),
        ({"conv": {"w": 0.0}, "conv/w": {"bias": 1.0}}, ("conv/w", "conv/w/bias")),
    ],
)
def test_leaves_that_would_lie_in_one_place_are_refused_with_both_names(tmp_path, tree, names):
    tree = jax.tree.map(jnp.float32, tree)
    with Checkpoints(tmp_path, asynchronous=False) as checkpoints:
        with pytest.raises(ValueError, match="use keys without") as error:
            checkpoints.save(1, ema=tree, train=tree, data={}, config=CONFIG)
        assert all(repr(name) in str(error.value) for name in names)
        assert not checkpoints.steps()
        apart = {"a.b": jnp.zeros(1), "a": {"c": jnp.ones(1)}, "b": jnp.ones(2)}
        assert checkpoints.save(1, ema=apart, train=apart, data={}, config=CONFIG)


def test_exploded_steps_push_out_no_sound_one(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in range(1, 9):
            save(checkpoints, step, exploded=step in (4, 5, 6))
            checkpoints.wait()
            if step == 6:
                assert checkpoints.steps() == [2, 3, 6]
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.steps() == [7, 8]
        save(checkpoints, 9, exploded=True)
    with Checkpoints(tmp_path, keep=2) as checkpoints:  # another process knows it, too
        save(checkpoints, 10, exploded=True)
        checkpoints.wait()
        assert checkpoints.steps() == [7, 8, 10]


def test_latest_and_best_are_kept(tmp_path):
    metrics = {1: 9.0, 2: 3.0, 3: math.nan, 4: 5.0, 5: 4.0, 6: math.inf, 7: None, 8: 8.0}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.best_step() is None
        for step, metric in metrics.items():
            save(checkpoints, step, metric=metric)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 7, 8]
        assert checkpoints.best_step() == 2
        assert checkpoints.latest_step() == 8
        assert not save(checkpoints, 8, metric=1.0)  # evaluated after it was saved
        assert checkpoints.best_step() == 8
    with Checkpoints(tmp_path, keep=1) as checkpoints:  # what is best outlives the process
        save(checkpoints, 9, metric=2.0)
        save(checkpoints, 10, metric=math.nan)
        checkpoints.wait()
        assert checkpoints.steps() == [8, 10]
        assert checkpoints.best_step() == 8
    assert Checkpoints(tmp_path, read_only=True, best_mode="max").best_step() == 8
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(ValueError, match="best.json is damaged"):
        Checkpoints(tmp_path)


def test_what_is_left_of_a_deletion_goes(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            save(checkpoints, step)
            checkpoints.wait()
    (tmp_path / "1" / "train").mkdir(parents=True)  # killed while this was being deleted
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.steps() == [2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"2", "3"}


def test_partial_and_temporary_directories(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        save(checkpoints, 1)
        save(checkpoints, 2)
    (tmp_path / "900").mkdir()
    (tmp_path / "2" / "train" / "_METADATA").unlink()
    (tmp_path / "3.orbax-checkpoint-tmp" / "ema").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    reader = Checkpoints(tmp_path, read_only=True)
    assert reader.latest_step() == 1
    assert_same(reader.restore_ema(2)[0], {"params": make_state(2).params})  # enough for sampling
    assert sorted(tmp_path.rglob("*")) == before  # a reader changes nothing
    with Checkpoints(tmp_path) as checkpoints:
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"1", "2.incomplete", "900.incomplete"}
        assert save(checkpoints, 2)
        checkpoints.wait()
        assert checkpoints.latest_step() == 2
        checkpoints.restore_train(None, abstract(make_state()))


def test_crc32_is_the_standard_one():
    record = leaves.summarize({"x": np.frombuffer(b"123456789", np.uint8)})["x"]
    assert record == {
        "shape": [9],
        "dtype": "uint8",
        "parts": [{"region": [[0, 9]], "crc32": "cbf43926"}],
    }


def test_flipped_bytes_never_pass(tmp_path):
    # In a child: reads that Orbax abandons after a failed one are reported when Python collects
    # them, and pytest's report of that can break an import that happens to run (CPython 3.11).
    child = run_helper("flipped", tmp_path, stderr=subprocess.PIPE)
    printed, errors = child.communicate(timeout=120)
    # Of hundreds of abandoned reads; when Python ends, it may print one whatever is asked.
    assert printed.strip() == "good" and errors.count("Traceback") < 5, errors


def test_changed_leaf_is_named_with_its_file(tmp_path):
    """The bytes of another checkpoint: valid for the reader, but not what was saved."""
    state, name = make_state(1, width=200), "params/g/kernel"
    with Checkpoints(tmp_path / "a") as one, Checkpoints(tmp_path / "b") as two:
        save(one, 1, state)
        other = make_state(1, width=200)
        other.params["g"]["kernel"] = state.params["g"]["kernel"].at[3, 7].add(1e-6)
        save(two, 1, other)
    records = StepFolder(tmp_path / "a" / "1").records()["train"]
    assert leaves.damaged(leaves.flatten(other), records) == [name]
    # The value has a data file of its own; the index and everything else is as saved.
    path = StepFolder(tmp_path / "a" / "1").file_of("train", name)
    assert path.is_file() and path.stat().st_size > 5000
    digests = tmp_path / "a" / "1" / "digests" / "process_0.json"
    digests.write_text(json.dumps(_with_crc(json.loads(digests.read_text()), name)))
    with pytest.raises(ValueError) as error:
        one.restore_train(1, abstract(state))
    assert f"train/{name} in {path}" in str(error.value)


def _with_crc(digests, name):
    digests["leaves"]["train"][name]["parts"][0]["crc32"] = "00000000"
    return digests


@contextlib.contextmanager
def file_size_limit(size):
    """Writing past `size` bytes of a file fails with EFBIG, much as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("limit", [50_000, 10])  # the thread's data files; every file
@pytest.mark.parametrize("asynchronous", [True, False])
def test_full_disk(tmp_path, limit, asynchronous, caplog):
    big = make_state(2, width=20_000)
    with Checkpoints(tmp_path, keep=1, asynchronous=asynchronous) as checkpoints:
        save(checkpoints, 1)
        checkpoints.wait()
        with file_size_limit(limit), pytest.raises(OSError) as error:
            save(checkpoints, 2, big)
            checkpoints.wait()
        for part in ("step 2", str(tmp_path), "free space", "latest whole one is 1"):
            assert part in str(error.value)
        assert "Traceback" not in caplog.text  # of Orbax's threads
        assert checkpoints.latest_step() == 1  # although keep=1
        checkpoints.restore_train(None, abstract(make_state()))
        assert save(checkpoints, 3, big)  # there is space again
        checkpoints.wait()
        assert checkpoints.steps() == [3]
    Checkpoints(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} == {"3"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_stale_error_is_raised_by_the_next_save(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    with file_size_limit(50_000):
        save(checkpoints, 2, make_state(2, width=20_000))
        while checkpoints._manager.is_saving_in_progress():
            time.sleep(0.01)
    with pytest.raises(OSError, match="checkpoint of step 2 was not written"):
        save(checkpoints, 3)
    assert save(checkpoints, 3)
    checkpoints.close()


def run_helper(*args, **kwargs):
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, str(HELPER), *map(str, args)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, **kwargs)


def test_killed_at_any_moment(tmp_path):
    """A child saves as fast as it can; whatever moment it is killed, all that it reported as saved
    is there, and the latest is whole.
    """
    rng, latest = random.Random(0), 0
    for _ in range(3):
        child = run_helper("forever", tmp_path)
        reported = int(child.stdout.readline())
        time.sleep(rng.uniform(0.05, 0.4))
        child.send_signal(signal.SIGKILL)
        reported = max([reported, *map(int, child.stdout.read().split())])
        child.wait()
        reader = Checkpoints(tmp_path, read_only=True)
        latest, before = reader.latest_step(), latest
        assert latest >= reported > before
        ema, train, data, _ = reader.restore_train(
            None, {"x": np.zeros((50, 100), np.float32), "step": np.int32(0)}, {"x": np.zeros(3)}
        )
        np.testing.assert_array_equal(train["x"], np.full((50, 100), latest))
        np.testing.assert_array_equal(ema["x"], np.full(3, latest))
        assert data == {"position": latest} and int(train["step"]) == latest


def test_two_processes(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    children = [run_helper("distributed", tmp_path, i, port) for i in range(2)]
    assert [child.communicate(timeout=120)[0].split()[-1:] for child in children] == [["good"]] * 2
    assert [child.returncode for child in children] == [0, 0]
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    # One process on four devices reads the same arrays; sampling needs one device.
    target = jax.ShapeDtypeStruct(
        (8, 3), jnp.float32, sharding=NamedSharding(mesh_of(jax.devices()), P("data"))
    )
    reader = Checkpoints(tmp_path, read_only=True)
    _, train, data, _ = reader.restore_train(2, {"rows": target, "step": np.int32(0)})
    np.testing.assert_array_equal(train["rows"], rows)
    assert data == {"position": 2}  # both processes saved this
    np.testing.assert_array_equal(reader.restore_ema(1)[0]["w"], np.arange(5))
    with pytest.raises(ValueError, match="2 processes saved different states"):
        reader.restore_train(1, {"rows": target, "step": np.int32(0)})
    # Process 1 wrote the last row and its checksum.
    path = tmp_path / "2" / "digests" / "process_1.json"
    digests = json.loads(path.read_text())
    digests["leaves"]["train"]["rows"]["parts"][-1]["crc32"] = "00000000"
    path.write_text(json.dumps(digests))
    with pytest.raises(ValueError, match="train/rows in "):
        reader.restore_train(2, {"rows": target, "step": np.int32(0)})


def test_compare_configs():
    saved = {
        "model": {"generator": {"channels": 128, "norm": "batch"}},
        "sizes": (1, 2),
        "train": {"duration": "10 epochs", "lr": 1},
        "log": {"every": 10},
        "logs": 1,
        "nan": math.nan,
        "flag": True,
    }
    current = {
        "model": {"generator": {"channels": 64, "dropout": 0.1}},
        "sizes": [1, 2],
        "train": {"duration": "20 epochs", "lr": 1.0},
        "log": {"every": 20},
        "logs": 2,
        "nan": math.nan,
        "flag": 1,
    }
    expected = [
        "flag: saved true, now 1",
        "logs: saved 1, now 2",
        "model.generator.channels: saved 128, now 64",
        "model.generator.dropout: saved absent, now 0.1",
        'model.generator.norm: saved "batch", now absent',
    ]
    assert compare_configs(saved, current, ["train.duration", "log"]) == expected
    with pytest.raises(ValueError, match="runs/a was written with another config") as error:
        check_same_run(saved, current, "runs/a")
    assert all(line in str(error.value) for line in expected)
    assert "train.duration" not in str(error.value)  # a run may be made longer
    check_same_run(saved, {**saved, "train": {"duration": "99 epochs"}})
