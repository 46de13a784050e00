"""Fields that are numbers, and those that no training can have."""

import math
import pathlib

import pytest

from t2i_jax import config as configs
from t2i_jax.training import fields, ranges

CONFIGS = sorted((pathlib.Path(__file__).parent.parent.parent / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_our_configs_are_in_range(path):
    ranges.check(configs.flatten(fields.complete(configs.load(str(path)))))


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("optim.g.lr", -1.0, "from 0 to 1,000"),
        ("optim.g.lr", math.nan, "a finite number"),
        ("optim.d.b2", 2.0, "at least 0 and below 1"),
        ("optim.d.b1", 1.0, "at least 0 and below 1"),
        ("optim.d.clip_norm", -0.5, "from 0 to 1,000,000"),
        ("optim.d.clip.rnn", -0.5, "from 0 to 1,000,000"),
        ("d_steps", 0, "from 1 to 1,000"),
        ("train.keep", 0, "from 1 to"),
        ("train.duration", "0 epochs", "a duration of at least one step"),
        ("train.log_every", "0.4 steps", "a duration of at least one step"),
        ("train.sample_every", "0.4 steps", "'0 steps' for never, or a duration"),
        ("loss.g.kl", -1.0, "from 0 to 1,000,000"),
        ("encoder.fields.conv_widths", (), "one number or more"),
        ("image.widths", [], "one number or more"),
        ("loss.g.kl", math.inf, "a finite number"),
        ("recipe.word_temperature", 0.0, "above 0 and at most 1,000"),
        ("encoder.fields.dropout", 1.0, "at least 0 and below 1"),
    ],
)
def test_a_field_out_of_its_range_is_named_with_it(name, value, words):
    with pytest.raises(ValueError) as error:
        ranges.check({name: value, "optim.e.lr": 1e-4})
    assert str(error.value).startswith(f"{name}={value}: must be {words}")


# Numbers that no field of that kind can be, and durations that are none.
INTEGERS = (-1, -(10**9), 10**30)
FLOATS = (-1.0, math.nan, math.inf, -math.inf, 1e30)
DURATIONS = ("", "0.4 steps", "0 epochs", "every 0 epochs", "-3 steps", "nan steps", "1e999 steps")
MAY_BE = {("train.sample_every", "0 epochs"), ("ema.half_life", "")}  # never, and no average


def extremes(name, value):
    if isinstance(value, bool):
        return ()
    if isinstance(value, int):
        return INTEGERS
    if isinstance(value, float):
        return FLOATS
    if isinstance(value, tuple):
        return [(x,) for x in INTEGERS if value and isinstance(value[0], int)]
    durations = ("train.duration", "ema.half_life")
    return DURATIONS if name in durations or name.endswith("_every") else ()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_extremes_of_every_number_of_our_configs_are_refused_by_its_name(path):
    config = configs.flatten(fields.complete(configs.load(str(path))))
    tried = 0
    for name, value in config.items():
        for extreme in extremes(name, value):
            if (name, extreme) in MAY_BE or (name.endswith("reset_every") and not extreme):
                continue
            with pytest.raises(ValueError) as error:
                ranges.check({**config, name: extreme})
            assert str(error.value).startswith(f"{name}={extreme}: must be ")
            assert len(str(error.value).splitlines()) == 1
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "name",
    ["d_steps", "fsdp", "train.keep", "train.samples", "data.size", "data.batch", "data.prefetch"]
    + ["generator.channels", "discriminator.image_size", "text.embedding", "tokenizer.length"],
)
def test_what_must_be_there_is_not_0(name):
    with pytest.raises(ValueError, match=f"^{name}=0: must be from 1 to"):
        ranges.check({name: 0})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("d_steps", "2", "d_steps='2': must be a int, as 1, not a str"),
        ("d_steps", True, "d_steps=True: must be a int, as 1, not a bool"),
        ("data.size", 64.0, "data.size=64.0: must be a int, as 64, not a float"),
        ("data.flip", 1, "data.flip=1: must be a bool, as True, not a int"),
        ("optim.g.lr", "1e-4", "optim.g.lr='1e-4': must be a float"),
        ("loss.g.fake", "1", "must be a float|must be from"),
        ("generator.channels", 1.5, "generator.channels=1.5: must be"),
        ("train.duration", 2.5, "train.duration=2.5: must be a str"),
    ],
)
def test_a_value_of_another_type_in_a_config_file_is_named(name, value, words):
    config = configs.load(str(CONFIGS[0].with_name("gan_int_cls.py")))
    parent, _, leaf = name.rpartition(".")
    node = config
    for part in filter(None, parent.split(".")):
        node = node[part]
    with node.ignore_type():
        node[leaf] = value
    with pytest.raises(ValueError, match=words):
        ranges.check(configs.flatten(fields.complete(config)))


@pytest.mark.parametrize("text", ["1e30 epochs", "3000000000 steps", "9b images"])
def test_more_steps_than_can_be_counted_are_refused(text):
    with pytest.raises(ValueError, match="steps: at most 2,147,483,647 can be counted"):
        configs.Duration.parse(text).steps(batch=2, records=4)


def test_all_of_them_are_told_at_once():
    wrong = {"optim.g.lr": -1.0, "d_steps": 0, "train.duration": "2 epochs"}
    with pytest.raises(ValueError) as error:
        ranges.check(wrong)
    lines = str(error.value).splitlines()
    assert [line.split("=")[0] for line in lines] == ["optim.g.lr", "d_steps"]


def test_edges_and_fields_without_a_range():
    edges = {"optim.g.lr": 0.0, "optim.g.b1": 0.0, "train.sample_every": "0 steps", "d_steps": 1}
    ranges.check({**edges, "train.duration": "0.5 epochs", "data.name": "cub", "frozen": {}})
