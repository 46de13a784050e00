"""The command line of the page: what is wrong is said in a line, before anything is compiled."""

import importlib.util
import socket

import pytest
from tiny_runs import gan_run

from t2i_jax.commands import demo
from t2i_jax.training import runs


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


def said(capsys, *argv) -> str:
    with pytest.raises(SystemExit) as stopped:
        demo.main(argv)
    assert stopped.value.code == 2
    found = capsys.readouterr()
    assert "compiling" not in found.out
    return found.err


def test_without_gradio_the_command_that_installs_it(workdir, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert said(capsys, f"--workdir={workdir}") == (
        "error: the page needs gradio: pip install 't2i_jax[demo]'\n"
    )


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--workdir=/nowhere"], "/nowhere is no run directory"),
        (["--host=no.such.host.invalid"], "--host=no.such.host.invalid: no address of this"),
        (["--port=70000"], "port=70000: must be a whole number from 1 to 65,535"),
        (["--step=9"], "step 9"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(workdir, capsys, argv, message):
    pytest.importorskip("gradio")
    given = argv if "--workdir" in argv[0] else [f"--workdir={workdir}", *argv]
    assert message in said(capsys, *given).splitlines()[-1]


def test_a_port_that_is_taken(workdir, capsys):
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port={port}: Address already in use" in said(
            capsys, f"--workdir={workdir}", f"--port={port}"
        )


def test_a_run_on_embeddings_is_refused(tmp_path, capsys):
    pytest.importorskip("gradio")
    run = gan_run(tmp_path / "run", steps=[])
    config = runs.read_config(run)
    config.data.text, config.encoder.name = "embeddings", ""
    runs.write_config(run, config)
    error = said(capsys, f"--workdir={run}")
    assert "stored embeddings and has no text encoder" in error and error.count("\n") == 1
