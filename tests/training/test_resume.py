"""A training that is killed, or told to stop, and goes on by the same command."""

import random
import signal
import time

import pytest
from train_commands import Command, metrics

from t2i_jax.training import runs
from t2i_jax.training.checkpoints import Checkpoints

STEPS, EVERY = 24, 3
ARGUMENTS = (
    f"--train.duration={STEPS} steps",
    f"--train.checkpoint_every={EVERY} steps",
    "--train.sample_every=0 steps",
)


@pytest.fixture(scope="module")
def uninterrupted(data_dir, tmp_path_factory):
    """The metrics of a training that nothing happened to."""
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    Command(workdir, data_dir, *ARGUMENTS).succeed()
    rows = metrics(workdir)
    assert list(rows) == list(range(1, STEPS + 1))
    assert len({row["g/total"] for row in rows.values()}) == STEPS
    return rows


def saved(workdir) -> int:
    """The last finished checkpoint."""
    return Checkpoints(runs.checkpoints_dir(workdir), read_only=True).latest_step()


def test_killed_and_resumed(uninterrupted, data_dir, tmp_path):
    """Whatever moment it is killed, it redoes the steps since the last finished checkpoint and
    nothing else, and every loss is to the last bit that of the uninterrupted training.
    """
    moment = random.uniform(0, 0.1)
    # A save is waited for by the next one: when step 2 * EVERY + 1 is done, the first is finished.
    killed_at = random.randint(2 * EVERY + 1, STEPS // 2)
    victim = Command(tmp_path, data_dir, *ARGUMENTS)
    victim.wait_for(killed_at)
    time.sleep(moment)
    victim.process.kill()
    assert victim.finish()[0] == -signal.SIGKILL, "it ended before it was killed"
    left, at = saved(tmp_path), max(metrics(tmp_path))
    # A step is logged before it is saved: when step 3 * EVERY is in the log, its save may not have
    # begun to wait for that of step 2 * EVERY yet.
    assert left and left % EVERY == 0 and at - left <= 2 * EVERY, (moment, killed_at, at, left)

    resumed = Command(tmp_path, data_dir, *ARGUMENTS)
    resumed.wait_for(at + 1)
    resumed.process.terminate()
    status, printed = resumed.finish()
    assert status == 143, printed
    assert f"resumed from step {left}" in printed
    stopped_at = max(metrics(tmp_path))
    assert saved(tmp_path) == stopped_at > at
    assert f"saved step {stopped_at}" in printed

    printed = Command(tmp_path, data_dir, *ARGUMENTS).succeed()
    assert f"resumed from step {stopped_at}" in printed
    assert metrics(tmp_path) == uninterrupted, (moment, killed_at)
    assert saved(tmp_path) == STEPS
