"""The program ``t2i-jax``: its commands, their help, what a slip of the pen is answered with."""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from t2i_jax import __main__ as program
from t2i_jax import config as configs
from t2i_jax import versions
from t2i_jax.data import catalog
from t2i_jax.training import first_runs, runs

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(*words: str, **options) -> subprocess.CompletedProcess:
    """A new process of Python."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, cwd=ROOT, **options
    )


def test_versions_and_help_load_nothing(capsys):
    """Neither jax nor any command."""
    for option in ("--version", "--help"):
        code = (
            "import sys; from t2i_jax import __main__ as program\n"
            f"try: program.main(['{option}'])\nexcept SystemExit as end: assert not end.code\n"
            "print(*[n for n in sys.modules if n in ('jax', 'numpy', 'ml_collections')], 'end')"
        )
        assert run("-c", code).stdout.splitlines()[-1] == "end"
    assert program.main(["--version"]) == 0
    told = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert told == versions.versions(("t2i_jax", "jax", "flax"))
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "there is no command 'trian'; did you mean 'train'?"),
        (["import_weight"], "did you mean 'import-weights'?"),
        (["qqq"], "known: benchmark, demo"),
        (["--trian"], "unrecognized arguments: --trian"),
        (["sample"], "one of the arguments --workdir --pretrained is required"),
        (["train", "--config=gan_int_clss:cub", "--print_config"], "did you mean 'gan_int_cls'?"),
    ],
)
def test_wrong_words_are_answered_in_a_line(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(words)
    last = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and "error: " in last and said in last


def test_without_a_command_the_help_is_shown(capsys):
    assert program.main([]) == 2
    told = capsys.readouterr().err
    assert all(f"  {name} " in told for name in program.COMMANDS)


@pytest.mark.parametrize("name", program.COMMANDS)
def test_a_command_is_called_in_both_ways(name, monkeypatch):
    """And its help calls it as the user did."""
    stub = ROOT / "t2i_jax" / f"{name.replace('-', '_')}.py"
    assert f"from t2i_jax.{program.COMMANDS[name].module} import main" in stub.read_text()
    parser = program.module(name).parser
    for script, called in (
        ("/usr/bin/t2i-jax", f"t2i-jax {name}"),
        (str(stub), f"python -m t2i_jax.{stub.stem}"),
    ):
        monkeypatch.setattr(sys, "argv", [script])
        assert parser().prog == called
        assert parser().format_help().startswith(f"usage: {called} ")


@pytest.mark.parametrize("name", program.COMMANDS)
def test_help_says_what_every_option_is(name):
    """And what holds without it, in the words of the option's own default."""
    for action in program.module(name).parser()._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        told = action.help or ""
        assert len(told.split()) > 1, f"{name}: {action.dest} is not explained"
        if action.default in (None, "", False, []) or action.required:
            continue
        assert "default" in told, f"{name}: {action.dest} does not tell its default"
        if "%(default)s" not in told and isinstance(action.default, list):
            assert ",".join(map(str, action.default)) in told


@pytest.mark.parametrize("name", program.COMMANDS)
def test_help_ends_with_examples_that_are_read(name):
    """Two of them, which the command's own parser takes."""
    parser = program.module(name).parser()
    said, *_, examples = parser.format_help().partition("\nexamples:\n")
    commands = examples.replace("\\\n", " ").split("\n\n")
    assert len(commands) == 2 and max(map(len, examples.splitlines())) <= 100
    for command in commands:
        comment, line = command.strip().split("\n")
        assert re.fullmatch(r"# [A-Z].{10,}", comment)
        words = shlex.split(line)
        called = shlex.split(parser.prog)
        assert words[: len(called)] == called
        parser.parse_known_args(words[len(called) :])


@pytest.mark.parametrize("name", program.COMMANDS)
def test_help_does_without_jax(name):
    code = (
        f"import sys; from t2i_jax import __main__ as program; program.module('{name}').parser()\n"
        "print(*[n for n in sys.modules if n in ('jax', 'flax', 'torch')], 'end')"
    )
    done = run("-c", code)
    assert done.stdout == "end\n", done.stderr


def test_messages_name_commands_as_the_user_gives_them(tmp_path, monkeypatch):
    """The program by its name, and a module where Python was asked for one."""
    for script, called in (("/usr/bin/t2i-jax", "t2i-jax"), ("train.py", "python -m t2i_jax.")):
        monkeypatch.setattr(sys, "argv", [script])
        train, prepare = (f"{called} {name}".replace(". ", ".") for name in ("train", "prepare"))
        config = configs.load("attn_gan:folder_small")
        assert f"\n  {train} --config=damsm:folder_small " in first_runs.remedy(config, "damsm")
        with pytest.raises(FileNotFoundError, match=re.escape(f"{train} --config=")):
            runs.read_config(tmp_path)
        with pytest.raises(catalog.NotPrepared, match=re.escape(f"{prepare} --dataset=cub ")):
            catalog.full_name("cub", str(tmp_path))
