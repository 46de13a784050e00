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
        ("data.batch=many", "'data.batch' takes a whole number"),
        ("data.batch=1.5", "'data.batch' takes a whole number"),
        ("evals.names=retrieval", r'takes a tuple .*: "\(\'a\', \'b\'\)", one alone'),
        ("optim=1", "is a section with the fields"),
        ("frozen=runs/x", "or add one: frozen.NAME="),
        ("optim.g.groups.image/*=slow", "takes a number"),
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
        configs.call(str(tmp_path / "birds.py"), "sweep")
    (tmp_path / "birds.py").write_text("def sweep():\n    return [{'name': 'x'}]\n")
    with pytest.raises(ValueError, match="birds.py takes no argument such as 'cub'"):
        configs.call(f"{tmp_path / 'birds.py'}:cub", "sweep")


BASE = "from t2i_jax import config\n\n\ndef get_config(arg=''):\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n    pass\n", "birds.py, line 1: SyntaxError: invalid syntax"),
        ("x = 1\n  y = 2\n", "birds.py, line 2: IndentationError: unexpected indent"),
        ("import no_such_package\n", "birds.py, line 1: ModuleNotFoundError: No module named"),
        ("from t2i_jax import nothing\n", "birds.py, line 1: ImportError: cannot import name"),
        ("x = 1\ny = z\n", "birds.py, line 2: NameError: name 'z' is not defined"),
        ("raise SystemExit('no')\n", "birds.py, line 1: SystemExit: no"),
        (f"{BASE}    return confg.base()\n", "birds.py, line 5: NameError: name 'confg' is not"),
        (f"{BASE}    c = config.base()\n    c.optim.g.lr = 1\n", "birds.py, line 6: Attribute"),
        (f"{BASE}    c = {{}}\n    return c['x']\n", "birds.py, line 6: KeyError: 'x'"),
        (f"{BASE}    return int('many\\nlines')\n", "birds.py, line 5: invalid literal for int"),
        (f"{BASE}    config.load('none.py')\n", "birds.py, line 5: FileNotFoundError: no config"),
        (f"{BASE}    pass\n", "the get_config\\(\\) of .*birds.py returns NoneType; a ConfigDict"),
        (f"{BASE}    return {{'system': 'x'}}\n", "returns dict; a ConfigDict is needed"),
        ("get_config = 3\n", "birds.py defines no get_config"),
        ("def get_config(a, b):\n    pass\n", "birds.py takes an argument: write .*:ARGUMENT"),
        (f"{BASE}    c = config.base()\n    del c.data\n    return c\n", "has no section 'data'"),
        (
            f"{BASE}    return config.ConfigDict({{**config.base(), 'train': 5}})\n",
            "sets to 5 the section 'train'",
        ),
    ],
)
def test_a_config_file_that_raises_is_one_line_with_its_place(tmp_path, text, message):
    path = tmp_path / "birds.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        configs.load(str(path))
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_other_files_than_python_are_no_configs(tmp_path):
    for name, content in (("c.json", b"{}"), ("c.yaml", b"a: 1"), ("c.py", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            configs.load(str(tmp_path / name))
    (tmp_path / "c.py").write_text("def get_config():\n    return 1\n")
    with pytest.raises(ValueError, match="c.py takes no argument such as 'cub'"):
        configs.load(f"{tmp_path / 'c.py'}:cub")
