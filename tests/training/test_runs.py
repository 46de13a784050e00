"""With which changes of its config a run may go on."""

import pytest
from tiny_runs import debug_config

from t2i_jax import config as configs
from t2i_jax.training import runs

ALLOWED = [
    "train.duration=9 epochs",
    "train.keep=5",
    "log.tensorboard=True",
    "parallel=pmap",
    "fsdp=2",
    "data.data_dir=elsewhere",
    "data.threads=4",
    "data.workers=2",
    "encoder.source=elsewhere",
    "encoder.cache=False",
    "optim.g.lr=1e-6",
    "optim.d.schedule=linear to 0 over 9 epochs",
    "optim.d.clip_norm=1.0",
]
REFUSED = [
    "seed=1",
    "dtype=bfloat16",
    "generator.channels=8",
    "recipe.form=released",
    "loss.d.wrong=0.0",
    "optim.g.b1=0.9",
    "optim.g.name=sgd",
    "data.batch=16",
    "data.name=cub",
    "encoder.train=joint",
    "d_steps=2",
    "ema.half_life=9 steps",
]


@pytest.fixture
def workdir(tmp_path):
    runs.write_config(tmp_path, debug_config())
    return tmp_path


def test_allowed_changes(workdir):
    runs.check_same(workdir, debug_config(*ALLOWED))


@pytest.mark.parametrize("change", REFUSED)
def test_refused_changes(workdir, change):
    """The field is named with both values, and no other field is."""
    name, _, value = change.partition("=")
    with pytest.raises(ValueError, match=f"{workdir} was written with another config") as error:
        runs.check_same(workdir, debug_config(*ALLOWED, change))
    (line,) = [line for line in str(error.value).splitlines() if line.startswith("  ")]
    assert line.startswith(f"  {name}: saved ")
    assert line.rpartition("now ")[2].strip('"') == value


def test_a_field_that_came_or_went(workdir):
    config = debug_config()
    config.generator.extra = 1
    del config.recipe["interp"]
    with pytest.raises(ValueError) as error:
        runs.check_same(workdir, config)
    assert "generator.extra: saved absent, now 1" in str(error.value)
    assert 'recipe.interp: saved "midpoint", now absent' in str(error.value)


def test_the_config_survives_the_file(workdir):
    config = debug_config()
    config.encoder.fields.conv_widths = (1, 2)
    runs.write_config(workdir, config)
    assert runs.read_config(workdir).to_dict() == config.to_dict()
    assert configs.to_json(runs.read_config(workdir)) == configs.to_json(config)
