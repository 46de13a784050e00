"""With which changes of its config a run may go on."""

import pytest
from tiny_runs import ROOT

from t2i_jax import config as configs
from t2i_jax.training import fields, runs
from t2i_jax.training.same_run import check_same_run

ALLOWED = [
    "train.duration=9 epochs",
    "train.keep=5",
    "log.tensorboard=True",
    "parallel=pmap",
    "fsdp=2",
    "remat=all",
    "data.data_dir=elsewhere",
    "data.threads=4",
    "data.workers=2",
    "encoder.source=elsewhere",
    "encoder.cache=False",
    "frozen.image=elsewhere",
    "optim.g.lr=1e-6",
    "optim.d.schedule=linear to 0 over 9 epochs",
    "optim.d.clip_norm=1.0",
    "optim.g.lr_floor=1e-7",
    "optim.g.clip.g/block=2.0",
]
REFUSED = [
    "seed=1",
    "dtype=bfloat16",
    "generator.channels=8",
    "recipe.form=released",
    "loss.d.wrong=0.0",
    "optim.g.b1=0.9",
    "optim.g.name=sgd",
    "optim.g.groups.g/block=0.1",
    "tokenizer.mode=cut_at_zero",
    "data.truncate=thin",
    "data.batch=16",
    "data.name=cub",
    "encoder.train=joint",
    "d_steps=2",
    "ema.half_life=9 steps",
]


def debug_config(*overrides: str):
    return fields.resolve(f"{ROOT / 'configs' / 'gan_int_cls.py'}:debug", overrides).config


@pytest.fixture
def workdir(tmp_path):
    runs.write_config(tmp_path, debug_config())
    return tmp_path


def check(workdir, config) -> None:
    """As the training loop compares a run's config with the one that it is continued with."""
    saved = fields.complete(runs.read_config(workdir))
    check_same_run(saved.to_dict(), config.to_dict(), workdir)


def test_allowed_changes(workdir):
    check(workdir, debug_config(*ALLOWED))


@pytest.mark.parametrize("change", REFUSED)
def test_refused_changes(workdir, change):
    """The field is named with both values, and no other field is, but for the data's own seed."""
    name, _, value = change.partition("=")
    with pytest.raises(ValueError, match=f"{workdir} was written with another config") as error:
        check(workdir, debug_config(*ALLOWED, change))
    *others, line = [line for line in str(error.value).splitlines() if line.startswith("  ")]
    assert others == (["  data.seed: saved 0, now 1"] if name == "seed" else [])
    assert line.startswith(f"  {name}: saved ")
    assert line.rpartition("now ")[2].strip('"') == value


def test_a_run_that_is_older_than_a_field_had_its_default(workdir):
    older = debug_config("recipe.interp=midpoint")
    del older.recipe["interp"]
    del older.optim.g["clip_norm"]
    runs.write_config(workdir, older)
    check(workdir, debug_config())
    with pytest.raises(ValueError, match='recipe.interp: saved "midpoint", now "extrapolate"'):
        check(workdir, debug_config("recipe.interp=extrapolate"))
    added = debug_config()
    added.generator.extra = 1
    with pytest.raises(ValueError, match="generator.extra: saved absent, now 1"):
        check(workdir, added)


def test_the_config_survives_the_file(workdir):
    config = debug_config()
    config.encoder.fields.conv_widths = (1, 2)
    runs.write_config(workdir, config)
    assert runs.read_config(workdir).to_dict() == config.to_dict()
    assert configs.to_json(runs.read_config(workdir)) == configs.to_json(config)


def test_checkpoints_without_their_config_are_refused(tmp_path):
    for step in ("6", "10", "12.incomplete"):
        (tmp_path / "checkpoints" / step / "config").mkdir(parents=True)
        (tmp_path / "checkpoints" / step / "config" / "config.json").write_text("{}")
    for left in (None, "{}"):
        if left:
            (tmp_path / "config.json").write_text(left)
        with pytest.raises(ValueError, match="config.json is missing.* Copy .*/10/config/config"):
            runs.check_whole(tmp_path)
    runs.write_config(tmp_path, debug_config())
    runs.check_whole(tmp_path)
    runs.check_whole(tmp_path / "none")
