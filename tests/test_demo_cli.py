"""The command line of the page: what is wrong is said in a line, before anything is compiled."""

import importlib.util
import socket
import threading
import types

import pytest
from tiny_runs import gan_run

from t2i_jax.commands import demo
from t2i_jax.exporting import package
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
        (["--pretrained=no such"], "no such: there is no such folder, nor is it USER/NAME on"),
        (["--pretrained=ada/birds", "--step=9"], "--step is for --workdir: an exported folder"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(workdir, capsys, argv, message):
    pytest.importorskip("gradio")
    given = (
        argv
        if argv[0].startswith(("--workdir", "--pretrained"))
        else [f"--workdir={workdir}", *argv]
    )
    assert message in said(capsys, *given).splitlines()[-1]


def test_a_port_that_is_taken(workdir, capsys):
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port={port}: Address already in use" in said(
            capsys, f"--workdir={workdir}", f"--port={port}"
        )


def test_a_run_is_no_exported_folder(workdir, capsys):
    pytest.importorskip("gradio")
    assert "is no exported folder" in said(capsys, f"--pretrained={workdir}")


def test_an_exported_folder_is_served(workdir, tmp_path, monkeypatch):
    """By either name; nothing but the page itself is left out."""
    pytest.importorskip("gradio")
    from t2i_jax.demo_page import artist, page, serving

    shown = []
    compiled = types.SimpleNamespace(seconds=0.0, widths=(32,), close=lambda **_: None)
    monkeypatch.setattr(artist, "compiled", lambda *_: compiled)
    monkeypatch.setattr(page, "page", lambda *asked: shown.append(asked) or compiled)
    monkeypatch.setattr(serving, "serve", lambda *_: ["there"])
    package.write(workdir, tmp_path / "birds")
    ended = threading.Event()
    ended.set()
    for source in ("workdir", "pretrained"):
        demo.run(demo.parse([f"--{source}={tmp_path / 'birds'}", "--caption=a"]), ended)
    assert shown[0] == shown[1] and dict(shown[0][2])["Run"] == "birds"


def test_a_run_on_embeddings_is_refused(tmp_path, capsys):
    pytest.importorskip("gradio")
    run = gan_run(tmp_path / "run", steps=[])
    config = runs.read_config(run)
    config.data.text, config.encoder.name = "embeddings", ""
    runs.write_config(run, config)
    error = said(capsys, f"--workdir={run}")
    assert "stored embeddings and has no text encoder" in error and error.count("\n") == 1
