"""Child processes of test_checkpoints.py.

flipped DIR              restores after each of many damages to the files
forever DIR              saves until it is killed, printing every step that is surely saved
distributed DIR I PORT   process I of 2, with 2 devices each: saves and restores
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from t2i_jax.training.checkpoints import Checkpoints
from t2i_jax.training.step_folder import StepFolder

jax.config.update("jax_platforms", "cpu")


def flipped(directory: str) -> None:
    rng = np.random.default_rng(0)
    state = {
        "g": {"kernel": jnp.asarray(rng.normal(size=(100, 200)), jnp.float32)},  # most of the bytes
        "d": {"kernel": jnp.asarray(rng.normal(size=(3, 5)), jnp.float32)},
        "step": jnp.asarray(7, jnp.int32),
    }
    config = {"model": {"channels": 64}}
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(7, ema=state, train=state, data={"position": 7}, config=config)
    step = pathlib.Path(directory) / "7"
    values = StepFolder(step).file_of("train", "g/kernel")
    index = StepFolder(step).file_of("train", "step")  # small values lie in the index
    matters = {values, index, step / "data" / "process_0.json", step / "config" / "config.json"}
    paths = {p for item in ("train", "data", "config") for p in (step / item).rglob("*")}
    assert len(matters) == 4 and matters <= paths
    for path in sorted(p for p in paths if p.is_file()):
        good = path.read_bytes()
        for place in (1, len(good) // 3, len(good) // 2):
            bad = bytearray(good)
            bad[place] ^= 0x15
            path.write_bytes(bad)
            try:
                _, train, data, saved = checkpoints.restore_train(7, state)
            except ValueError as error:
                assert str(step) in str(error)
                if path == values:
                    assert f"train/g/kernel in {path}" in str(error), error
            else:  # bytes that nothing is read from
                assert path not in matters, path
                assert jax.tree.all(jax.tree.map(np.array_equal, train, state)), path
                assert data == {"position": 7} and saved == config
            path.write_bytes(good)
    print("good", flush=True)


def forever(directory: str) -> None:
    checkpoints = Checkpoints(directory, keep=2)
    step = checkpoints.latest_step() or 0
    while True:
        step += 1
        x = np.full((50, 100), step, np.float32)
        checkpoints.save(
            step,
            ema={"x": x[0, :3]},
            train={"x": x, "step": np.int32(step)},
            data={"position": step},
            config={},
            metric=-step,
        )
        if step % 3 == 0:
            checkpoints.wait()
            print(step, flush=True)


def distributed(directory: str, index: str, port: str) -> None:
    process = int(index)
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)

    def place(x, spec):
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), lambda i: x[i])

    with Checkpoints(directory, keep=2) as checkpoints:
        for step in range(3):
            train = {"rows": place(rows, P("data")), "step": place(np.int32(step), P())}
            ema = {"w": place(np.arange(5, dtype=np.float32), P())}
            data = {"position": step, "process": process} if step == 1 else {"position": step}
            assert checkpoints.save(step, ema=ema, train=train, data=data, config={}, metric=step)
        assert not checkpoints.save(2, ema=ema, train=train, data=data, config={})
        assert checkpoints.steps() == [0, 1, 2], checkpoints.steps()  # 0 is the best
        replicated = jax.ShapeDtypeStruct((8, 3), jnp.float32, sharding=NamedSharding(mesh, P()))
        for target in (train["rows"], replicated):
            ema, got, data, _ = checkpoints.restore_train(
                1, {**train, "rows": target}, {"w": ema["w"]}
            )
            assert data == {"position": 1, "process": process}
            assert got["rows"].sharding == target.sharding
            for shard in got["rows"].addressable_shards:
                np.testing.assert_array_equal(np.asarray(shard.data), rows[shard.index])
        try:
            checkpoints.save(9, ema={"w": jnp.ones(3)}, train=train, data={}, config={})
        except ValueError as error:
            assert f"'w' lives on process {process} alone" in str(error)
        else:
            raise AssertionError("an array of one process was accepted")
    print("good", flush=True)


if __name__ == "__main__":
    {"flipped": flipped, "forever": forever, "distributed": distributed}[sys.argv[1]](*sys.argv[2:])
