"""Every field of a config is there, can be overridden, and says where its value comes from."""

import dataclasses
import json
import pathlib

import pytest

from t2i_jax import config as configs
from t2i_jax.commands import train
from t2i_jax.data.options import DataOptions
from t2i_jax.training import fields, modules

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GAN = f"{ROOT / 'configs' / 'gan_int_cls.py'}:debug"
STAGE2 = f"{ROOT / 'configs' / 'stack_gan_v1_stage2.py'}:debug"

OWN_RECIPE = """
import dataclasses
import flax.linen as nn
from t2i_jax.recipes.base import GanRecipe

class Net(nn.Module):
    width: int
    layers: tuple[int, ...] = (1, 2)

@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(GanRecipe):
    generator: Net
    helper: Net | None = None
    margin: float = 0.2
"""
OWN_CONFIG = """
from t2i_jax.config import base

def get_config():
    config = base()
    config.system = "my_lab.my_gan"
    config.generator = {"layers": (3,)}
    config.helper = {}
    return config
"""


def test_all_options_of_the_data_are_fields():
    config = fields.resolve(GAN).config
    expected = {f.name: f.default for f in dataclasses.fields(DataOptions)}
    assert set(config.data) == set(expected)
    for name in ("truncate", "prefetch", "reduced", "seed"):  # of which the file says nothing
        assert config.data[name] == expected[name]


def test_overrides_reach_fields_that_the_file_does_not_name():
    config = fields.resolve(
        GAN, ["--data.truncate=sentences", "--data.load_ratio=1", "--tokenizer.mode=cut_at_zero"]
    ).config
    assert config.data.truncate == "sentences" and config.data.load_ratio == 1.0
    assert config.tokenizer.to_dict() == {"name": "char", "length": 201, "mode": "cut_at_zero"}


def test_the_data_take_the_seed_of_the_training_unless_they_have_their_own():
    assert fields.resolve(GAN, ["seed=7"]).config.data.seed == 7
    assert fields.resolve(GAN, ["data.seed=3", "seed=7"]).config.data.seed == 3


def test_another_tokenizer_brings_its_own_fields():
    changes = ["tokenizer.length=12", "tokenizer.name=word", "tokenizer.captions_pickle=x.pickle"]
    section = fields.resolve(GAN, changes).config.tokenizer
    assert "mode" not in section and section.length == 12
    assert section.captions_pickle == "x.pickle" and section.captions == 10


def test_another_encoder_brings_its_own_fields(tmp_path, monkeypatch):
    (tmp_path / "my_encoders").mkdir()
    (tmp_path / "my_encoders" / "words.py").write_text(
        "import flax.linen as nn\nclass TextEncoder(nn.Module):\n    depth: int = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    changes = ["encoder.fields.depth=4", "encoder.name=my_encoders.words"]
    assert fields.resolve(GAN, changes).config.encoder.fields.to_dict() == {"depth": 4}


def test_the_tokenizer_follows_the_encoder():
    damsm = f"{ROOT}/configs/df_gan.py:debug"  # on words, of which data.truncate thins
    for name, tokenizer in (("bert", "wordpiece"), ("char_cnn_rnn", "char")):
        resolved = fields.resolve(damsm, [f"encoder.name={name}", "tokenizer.length=7"])
        config = resolved.config
        assert config.tokenizer.name == tokenizer and config.tokenizer.length == 7
        assert config.data.truncate == "head"
        assert resolved.origins["tokenizer.name"] == "follows encoder.name"
    same = fields.resolve(damsm, ["encoder.name=damsm"]).config
    assert (same.tokenizer.name, same.data.truncate) == ("word", "thin")
    other = fields.resolve(damsm, ["encoder.name=bert", "tokenizer.name=char"]).config
    assert other.tokenizer.name == "char"


def test_a_system_of_ones_own_is_completed(tmp_path, monkeypatch):
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "my_gan.py").write_text(OWN_RECIPE)
    (tmp_path / "config.py").write_text(OWN_CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    changes = ["generator.width=5", "helper.width=6", "recipe.margin=1"]
    resolved = fields.resolve(str(tmp_path / "config.py"), changes)
    assert resolved.config.generator.to_dict() == {"layers": (3,), "width": 5}
    assert resolved.config.helper.to_dict() == {"layers": (1, 2), "width": 6}
    assert resolved.config.recipe.margin == 1.0 and resolved.config.recipe.augment == ()
    resolved.check()
    lacking = fields.resolve(str(tmp_path / "config.py"))
    assert set(lacking.missing) == {"generator.width", "helper.width"}
    assert "generator.width" not in configs.flatten(lacking.config)
    assert "# generator.width is not set, but my_lab" in fields.listing(lacking)
    with pytest.raises(ValueError, match="generator.width is not set, but my_lab"):
        lacking.check()


def test_regularizers_need_no_mention():
    changes = ["loss.d.r1=2", "recipe.augment=('color','cutout')"]
    config = fields.resolve(GAN, changes).config
    assert (config.loss.d.r1, config.loss.d.r2, config.loss.g.relativistic) == (2.0, 0.0, 0.0)
    assert config.recipe.augment == ("color", "cutout")
    assert "loss.d.ma_gp = 0.0" in fields.listing(fields.resolve(GAN))
    with pytest.raises(ValueError, match="loss.d.r3.*known: .*r1, r2"):
        fields.resolve(GAN, ["loss.d.r3=1"])


def test_completing_adds_and_changes_nothing():
    before = configs.flatten(configs.load(GAN))
    after = configs.flatten(fields.complete(configs.load(GAN)))
    assert {name: after[name] for name in before} == before and len(after) > len(before)
    again = configs.flatten(fields.complete(fields.complete(configs.load(GAN))))
    assert again == after


def test_origins():
    resolved = fields.resolve(GAN, ["optim.g.lr=1e-3", "frozen.other=runs/x"])
    expected = {
        "optim.g.lr": "command line",
        "frozen.other": "command line",
        "optim.d.lr": "config file",
        "data.size": "config file",
        "data.split": "base default",
        "ema.ramp": "base default",
        "data.truncate": "default of DataOptions",
        "tokenizer.mode": "default of CharTokenizer",
        "generator.large": "config file",
        "encoder.fields.dropout": "default of encoders.char_cnn_rnn.TextEncoder",
    }
    assert {name: resolved.origins[name] for name in expected} == expected
    assert resolved.origins.keys() == configs.flatten(resolved.config).keys()


@pytest.fixture
def encoder_run(tmp_path):
    """A run of a text encoder as far as its fields go."""
    config = configs.load(f"{ROOT / 'configs' / 'char_cnn_rnn.py'}:debug")
    workdir = tmp_path / "encoder"
    workdir.mkdir()
    (workdir / "config.json").write_text(configs.to_json(config))
    state = {"name": "char", "length": 99, "mode": "lower"}
    (workdir / "tokenizer.json").write_text(json.dumps(state))
    return workdir


def test_values_of_runs(encoder_run, tmp_path):
    changes = [f"encoder.source={encoder_run}", "frozen.stage1=nowhere"]
    resolved = fields.with_runs(fields.resolve(STAGE2, changes))
    assert resolved.config.encoder.fields.embedding == 12  # of configs/char_cnn_rnn.py:debug
    assert resolved.origins["encoder.fields.embedding"] == f"run {encoder_run}"
    assert resolved.config.tokenizer.length == 99
    assert resolved.origins["tokenizer.length"] == f"run {encoder_run}"
    longer = fields.with_runs(fields.resolve(STAGE2, [*changes, "tokenizer.length=120"]))
    assert longer.config.tokenizer.to_dict() == {"name": "char", "length": 120, "mode": "lower"}
    assert longer.origins["tokenizer.length"] == "command line"
    assert longer.origins["tokenizer.mode"] == f"run {encoder_run}"
    assert resolved.origins["stage1.channels"] == "nowhere will decide"
    stage1 = configs.load(f"{ROOT / 'configs' / 'stack_gan_v1.py'}:debug")
    stage1.generator.channels = 6
    (tmp_path / "config.json").write_text(configs.to_json(stage1))
    resolved = fields.with_runs(fields.resolve(STAGE2, [f"frozen.stage1={tmp_path}"]))
    assert resolved.config.stage1.channels == 6
    assert resolved.origins["stage1.channels"] == f"run {tmp_path}"
    assert resolved.origins.keys() == configs.flatten(resolved.config).keys()


def test_the_command_line_lists_every_field(capsys):
    train.main([f"--config={GAN}", "--print_config", "--data.batch=3"])
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split(" = ")[0]: line for line in lines}
    resolved = fields.resolve(GAN, ["data.batch=3"])
    assert shown.keys() == configs.flatten(resolved.config).keys()
    assert shown["data.batch"].split() == ["data.batch", "=", "3", "#", "command", "line"]


@pytest.mark.parametrize(
    "system, name, value, least",
    [
        ("rat_gan", "generator.noise_dim", 0, 1),
        ("rat_gan", "generator.state_dim", 0, 1),
        ("rat_gan", "discriminator.channels", -1, 1),
        ("df_gan", "generator.channels", 0, 1),
        ("df_gan", "generator.affine_dim", -1, 0),
        ("gan_int_cls", "generator.image_size", 0, 1),
        ("stack_gan_v1", "discriminator.text_dim", -1, 0),
        ("stack_gan_v2", "generator.scales", 0, 1),
        ("xmc_gan", "discriminator.channels", 0, 1),
        ("attn_gan", "generator.base_size", 0, 1),
    ],
)
def test_sizes_that_no_network_has(system, name, value, least):
    section, field = name.split(".")
    spec = f"{ROOT}/configs/{system}.py:debug"
    cls = modules.module_hints(modules.recipe_module(system).Recipe)[section]
    given = fields.resolve(spec, [f"{name}={value}"]).config[section]
    with pytest.raises(ValueError, match=f"^{name}={value}: must be at least {least}$"):
        modules.construct(cls, given, section)
    given[field] = least
    assert getattr(modules.construct(cls, given, section), field) == least


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--print_config", "--data.truncat=head"], "did you mean 'truncate'"),
        (["--print_config", "--tokenizer.name=chars"], "tokenizer.name='chars'; did you mean"),
        (["--print_config", "--system=nowhere.my_gan"], "no module 'nowhere.my_gan'"),
        ([], "--workdir=RUN is missing"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as status:
        train.main([f"--config={GAN}", *arguments])
    assert status.value.code == 2
    assert message in capsys.readouterr().err
