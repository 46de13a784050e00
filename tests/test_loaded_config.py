"""Configs in Python: overrides, fields that are not there, what the user has set."""

import copy
import pathlib
import pickle

import numpy as np
import pytest
from ml_collections import ConfigDict

import t2i_jax
from t2i_jax import config as configs
from t2i_jax.loaded_config import own_copy

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "configs" / "gan_int_cls.py"
SPEC = f"{FILE}:debug"


def test_overrides_by_dotted_name_in_sections_and_by_keyword():
    config = t2i_jax.load_config(
        SPEC, {"optim.g.lr": 1e-3, "ema": {"decay": 0.5, "half_life": ""}}, seed=3, d_steps="2"
    )
    assert (config.optim.g.lr, config.ema.decay, config.seed, config.d_steps) == (1e-3, 0.5, 3, 2)
    assert config.optim.d.lr == t2i_jax.load_config(SPEC).optim.d.lr == 2e-4
    assert config.data.workers is not None, "fields that the file does not mention are there"
    assert t2i_jax.load_config(FILE).data.name == "toy_birds", "a path without an argument"


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((SPEC, {"optim.g.lrr": 1}), ValueError, "did you mean 'lr'"),
        ((SPEC, {"seed": "many"}), ValueError, "'seed' takes a whole number"),
        ((SPEC, ["seed=1"]), TypeError, "a dict is needed"),
        ((SPEC, {5: 1}), TypeError, "5 is no name of a field"),
        ((f"{FILE}:birds",), ValueError, "birds"),
        (("nowhere.py",), FileNotFoundError, "no config file 'nowhere.py'"),
        ((ROOT,), FileNotFoundError, "no config file"),
        ((None,), TypeError, "the config is None: a path is needed"),
        ((5,), TypeError, "the config is 5: a path is needed"),
    ],
)
def test_what_cannot_be_loaded_gets_a_sentence(arguments, error, words):
    with pytest.raises(error, match=words):
        t2i_jax.load_config(*arguments)


def test_overrides_are_what_python_programs_have_at_hand(tmp_path):
    given = {"data.data_dir": tmp_path, "seed": np.int64(3), "optim.g.lr": np.float32(0.5)}
    config = t2i_jax.load_config(SPEC, given, frozen={"damsm": tmp_path / "damsm"})
    assert config.data.data_dir == str(tmp_path) and config.frozen.damsm == f"{tmp_path}/damsm"
    assert (config.seed, config.optim.g.lr) == (3, 0.5) and type(config.seed) is int
    same = t2i_jax.load_config(SPEC, ConfigDict({"optim": {"g": {"lr": 0.5}}}))
    assert same.optim.g.lr == 0.5
    config.frozen.inception = tmp_path
    assert own_copy(config)[0].frozen.inception == str(tmp_path)


def test_fields_can_be_set_and_none_can_be_added_by_mistake():
    config = t2i_jax.load_config(SPEC)
    config.train.duration = "7 steps"
    with pytest.raises(AttributeError, match='Did you mean "duration"'):
        config.train.duratoin = "7 steps"
    with pytest.raises(TypeError):
        config.seed = "many"
    config.frozen.damsm = "runs/damsm"
    config.optim.g.groups["g/*"] = 0.0
    assert own_copy(config)[0].optim.g.groups.to_dict() == {"g/*": 0.0}


def test_it_knows_what_its_user_has_set():
    config = t2i_jax.load_config(SPEC, {"tokenizer.length": 201})
    assert config.set_by_user() == {"tokenizer.length"}, "though 201 is the default"
    config.optim.g.lr = 1e-3
    copies = config.copy_and_resolve_references(), copy.deepcopy(config)
    for found in (config, *copies, pickle.loads(pickle.dumps(config))):
        assert found.set_by_user() == {"tokenizer.length", "optim.g.lr"}
        assert found.optim.g.lr == 1e-3 and found.is_locked


def test_dropping_what_does_not_fit_is_warned_of():
    spec = f"{ROOT / 'configs' / 'attn_gan.py'}:debug"
    with pytest.warns(UserWarning, match="DAMSM of the config file"):
        config = t2i_jax.load_config(spec, {"encoder.name": "char_cnn_rnn"})
    assert "damsm" not in config.frozen


def test_trainings_take_a_copy_of_any_kind_of_config():
    config = t2i_jax.load_config(SPEC, seed=3)
    for given in (config, ConfigDict(config.to_dict()), config.to_dict()):
        copied, told = own_copy(given)
        assert copied.to_dict() == config.to_dict() and copied is not given
        assert told == ({"seed"} if given is config else frozenset())
        copied.seed = 4
    assert config.seed == 3 and own_copy(SPEC)[0].seed == 0
    short = configs.load(SPEC).to_dict()
    del short["log"], short["evals"]
    assert own_copy(short)[0].evals.records == 500, "missing fields have their defaults"


@pytest.mark.parametrize(
    "given, error, words",
    [
        (5, TypeError, "the config is 5: one of t2i_jax.load_config is needed"),
        (None, TypeError, "the config is None"),
        ({}, ValueError, "the config has no 'system'"),
        ({"system": "gan"}, ValueError, "system"),
        ({"system": 5}, ValueError, "the config has no 'system'"),
        ({"system": "gan_int_cls", 5: 1}, TypeError, "5 is no name of a field"),
        ({"system": "gan_int_cls", "data": None}, ValueError, "data=None: a section is needed"),
        ({"system": "gan_int_cls", "generator": 5}, ValueError, "generator=5: a section is needed"),
        ({"system": "gan_int_cls", "frozen": {"x": 5}}, ValueError, "frozen.x=5: a run or a file"),
        ({"system": "gan_int_cls", "trian": {}}, ValueError, "'trian'; did you mean 'train'"),
        ({"system": "gan_int_cls", "train": {"k": 1}}, ValueError, "train has an unknown field"),
    ],
)
def test_what_is_no_config_gets_a_sentence(given, error, words):
    with pytest.raises(error, match=words):
        own_copy(given)
