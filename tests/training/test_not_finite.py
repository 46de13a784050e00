"""A training whose numbers stop being finite: what it says, what it leaves, how it goes on."""

import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_commands import SPEC, metrics

from t2i_jax import config as configs
from t2i_jax.commands import train
from t2i_jax.training import finite, loop, ranges, runs
from t2i_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("one_device")
QUIET = ("--train.sample_every=0 steps", "--train.keep=9")


def arguments(workdir, data_dir, *more) -> list[str]:
    return [
        f"--config={SPEC}",
        f"--workdir={workdir}",
        f"--data.data_dir={data_dir}",
        *QUIET,
        *more,
    ]


@pytest.fixture(scope="module")
def good(data_dir, tmp_path_factory):
    """Two good steps, both saved."""
    workdir = tmp_path_factory.mktemp("runs") / "good"
    train.main(arguments(workdir, data_dir))
    return workdir


def steps(workdir) -> list[int]:
    return Checkpoints(runs.checkpoints_dir(workdir), read_only=True).steps()


@pytest.fixture
def any_rate(monkeypatch):
    """Rates that are refused otherwise, to come to numbers that are not finite in one step."""
    monkeypatch.setattr(ranges, "check", lambda fields: None)


def check_finite(workdir) -> None:
    """Every number of every checkpoint is finite."""
    reader = Checkpoints(runs.checkpoints_dir(workdir), read_only=True)
    for step in reader.steps():
        ema, _ = reader.restore_ema(step)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(ema)), step


def test_a_bad_term_stops_the_run_which_can_go_on(good, data_dir, tmp_path, capsys, any_rate):
    """D's update makes G's terms infinite in the same step. Run again at a lower rate and with
    clipping, it goes on from the last good checkpoint.
    """
    workdir = tmp_path / "run"
    shutil.copytree(good, workdir)
    with pytest.raises(SystemExit) as error:
        train.main(arguments(workdir, data_dir, "--optim.d.lr=1e30", "--train.duration=5"))
    assert error.value.code == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: step 3: ") and " is NaN or infinite" in message
    assert "g/grad_norm" in message
    assert f"the last good checkpoint is step 2 in {workdir}" in message
    assert "optim.<player>.lr" in message and f"delete {workdir}/checkpoints/2" in message
    assert steps(workdir) == [1, 2] and list(metrics(workdir)) == [1, 2]

    lower = ("--optim.d.lr=1e-5", "--optim.d.clip_norm=1.0", "--train.duration=4")
    train.main(arguments(workdir, data_dir, *lower))
    assert "resumed from step 2" in capsys.readouterr().err
    rows = metrics(workdir)
    assert list(rows) == [1, 2, 3, 4] and steps(workdir) == [1, 2, 3, 4]
    assert all(math.isfinite(value) for row in rows.values() for value in row.values())
    assert runs.read_config(workdir).optim.d.lr == 1e-5
    check_finite(workdir)


def test_bad_parameters_are_not_saved(good, data_dir, tmp_path, any_rate):
    """G's update ruins G after the step's losses were taken: no term shows it before the save."""
    workdir = tmp_path / "run"
    shutil.copytree(good, workdir)
    changes = [f"data.data_dir={data_dir}", "optim.g.lr=1e30", "train.duration=5"]
    config = configs.override(configs.load(SPEC), [*QUIET, *changes])
    with pytest.raises(
        finite.NotFiniteError, match=r"step 3: .*params/g.* checkpoint is step 2 in"
    ):
        loop.train(config, workdir)
    assert steps(workdir) == [1, 2]
    check_finite(workdir)


def test_norms():
    """Of whatever part has a bad number, and of numbers whose squares overflow."""
    state = {"step": 1, "params": {"g": {"a": jnp.array([3.0, 4.0])}, "d": jnp.full(2, 1e30)}}
    state["opt"] = {"g": (jnp.array([jnp.nan]), jnp.array(2)), "d": ()}
    norms = {name: float(norm) for name, norm in finite.norms(state).items()}
    assert norms == pytest.approx(
        {"params/g": 5.0, "params/d": math.inf, "opt/g": math.nan}, nan_ok=True
    )
