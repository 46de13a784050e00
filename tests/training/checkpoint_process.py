"""Child processes of test_checkpoints.py.

forever DIR              saves until it is killed, printing every step that is surely saved
distributed DIR I PORT   process I of 2, with 2 devices each: saves and restores
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from t2i_jax.training.checkpoints import Checkpoints

jax.config.update("jax_platforms", "cpu")


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
    {"forever": forever, "distributed": distributed}[sys.argv[1]](*sys.argv[2:])
