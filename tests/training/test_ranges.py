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
        ("optim.g.lr", -1.0, "at least 0"),
        ("optim.g.lr", math.nan, "a finite number"),
        ("optim.d.b2", 2.0, "at least 0 and below 1"),
        ("optim.d.b1", 1.0, "at least 0 and below 1"),
        ("optim.d.clip_norm", -0.5, "at least 0"),
        ("optim.d.clip.rnn", -0.5, "at least 0"),
        ("d_steps", 0, "at least 1"),
        ("train.keep", 0, "at least 1"),
        ("train.duration", "0 epochs", "a duration of at least one step"),
        ("train.log_every", "0.4 steps", "a duration of at least one step"),
        ("train.sample_every", "0.4 steps", "'0 steps' for never, or a duration"),
        ("loss.g.kl", -1.0, "at least 0"),
        ("loss.g.kl", math.inf, "a finite number"),
        ("recipe.word_temperature", 0.0, "above 0"),
        ("encoder.fields.dropout", 1.0, "at least 0 and below 1"),
    ],
)
def test_a_field_out_of_its_range_is_named_with_it(name, value, words):
    with pytest.raises(ValueError) as error:
        ranges.check({name: value, "optim.e.lr": 1e-4})
    assert str(error.value).startswith(f"{name}={value}: must be {words}")


def test_all_of_them_are_told_at_once():
    wrong = {"optim.g.lr": -1.0, "d_steps": 0, "train.duration": "2 epochs"}
    with pytest.raises(ValueError) as error:
        ranges.check(wrong)
    lines = str(error.value).splitlines()
    assert [line.split("=")[0] for line in lines] == ["optim.g.lr", "d_steps"]


def test_edges_and_fields_without_a_range():
    edges = {"optim.g.lr": 0.0, "optim.g.b1": 0.0, "train.sample_every": "0 steps", "d_steps": 1}
    ranges.check({**edges, "train.duration": "0.5 epochs", "data.name": "cub", "frozen": {}})
