"""Configs: overrides, their mistakes, JSON, durations."""

import pytest

from t2i_jax import config as configs


@pytest.fixture
def config():
    made = configs.base()
    made.optim = {"g": configs.adam(2e-4)}
    made.text = {"conv_widths": (4, 6)}
    return made


def test_overrides_take_the_type_of_the_field(config):
    configs.override(
        config,
        ["--optim.g.lr=1", "config.train.duration=600 epochs", "encoder.cache=false"],
    )
    assert config.optim.g.lr == 1.0 and isinstance(config.optim.g.lr, float)
    assert config.train.duration == "600 epochs" and config.encoder.cache is False
    configs.override(config, {"text.conv_widths": [1, 2], "data.batch": 8})
    assert config.text.conv_widths == (1, 2) and config.data.batch == 8
    configs.override(config, ["text.conv_widths=(3,4)"])
    assert config.text.conv_widths == (3, 4)


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("optm.g.lr=1", "did you mean 'optim'"),
        ("optim.g.rate=1", "section 'optim.g' has no 'rate'"),
        ("lr=1", "did you mean 'optim.g.lr'"),
        ("data.batch=many", "'data.batch' takes a int"),
        ("data.batch=1.5", "'data.batch' takes a int"),
        ("evals.names=retrieval", r'takes a tuple .*: "\(\'a\', \'b\'\)", one alone'),
        ("optim=1", "is a section with the fields"),
        ("frozen=runs/x", "or add one: frozen.NAME="),
        ("optim.g.groups.image/*=slow", "takes a float"),
        ("optim.q.groups.image/*=1", "section 'optim' has no 'q'"),
        ("frozen.damsm.source=runs/x", "section 'frozen' has no 'damsm'"),
        ("seed", "write field=value"),
    ],
)
def test_mistakes_name_the_field_and_a_remedy(config, assignment, message):
    before = config.to_json()
    with pytest.raises(ValueError, match=message):
        configs.override(config, [assignment])
    assert config.to_json() == before


def test_open_sections_take_new_entries(config):
    configs.override(
        config,
        ["frozen.damsm=runs/damsm", "optim.g.groups.image/*=0", "optim.g.clip.encoder=0.25"],
    )
    assert config.frozen.damsm == "runs/damsm"
    assert config.optim.g.groups.to_dict() == {"image/*": 0.0}
    assert isinstance(config.optim.g.groups["image/*"], float)
    configs.override(config, ["optim.g.clip.encoder=1", "frozen.damsm=7"])
    assert config.optim.g.clip.encoder == 1.0 and config.frozen.damsm == "7"
    again = configs.from_json(configs.to_json(config))
    assert again.to_dict() == config.to_dict()


def test_fields_that_may_be_added(config):
    configs.override(config, ["tokenizer.path=vocab.txt"], also=["tokenizer.path"])
    assert config.tokenizer.path == "vocab.txt"
    with pytest.raises(ValueError, match="no 'paths'"):
        configs.override(config, ["tokenizer.paths=vocab.txt"], also=["tokenizer.path"])


def test_json_round_trip_keeps_tuples(config):
    again = configs.from_json(configs.to_json(config))
    assert again.to_dict() == config.to_dict()
    assert isinstance(again.text.conv_widths, tuple)


@pytest.mark.parametrize(
    "text, steps",
    [
        (30, 30),
        ("2.5k steps", 2500),
        ("600 epochs", 83_016),  # 600 passes over CUB's 8,855 images in batches of 64
        ("1M images", 15_625),
        ("0 steps", 0),
    ],
)
def test_durations(text, steps):
    assert configs.Duration.parse(text).steps(batch=64, records=8855) == steps


def test_bad_durations_say_how_to_write_one():
    for text in ("soon", "5 parsecs", ""):
        with pytest.raises(ValueError, match="600 epochs"):
            configs.Duration.parse(text)


def test_missing_files_and_functions(tmp_path):
    (tmp_path / "birds.py").write_text("x = 1\n")
    with pytest.raises(FileNotFoundError, match="did you mean"):
        configs.load(str(tmp_path / "bird.py"))
    with pytest.raises(ValueError, match="get_config"):
        configs.load(str(tmp_path / "birds.py"))
    with pytest.raises(ValueError, match="sweep"):
        configs.load_sweep(str(tmp_path / "birds.py"))
    (tmp_path / "birds.py").write_text("def sweep():\n    return [{'name': 'x'}]\n")
    with pytest.raises(ValueError, match="birds.py takes no argument such as 'cub'"):
        configs.load_sweep(f"{tmp_path / 'birds.py'}:cub")
