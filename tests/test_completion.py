"""Completion of ``t2i-jax`` in a real bash, which is typed into as a user does."""

import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest

pytest.importorskip("argcomplete")
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALL, TAB = "\x1b*", "\t"  # Alt-*: bash writes every completion into the line


class Shell:
    """A bash at a terminal, in a folder, with ``t2i-jax`` and its completion."""

    def __init__(self, folder: pathlib.Path):
        program = folder / "bin" / "t2i-jax"
        program.parent.mkdir()
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom t2i_jax.__main__ import main\nsys.exit(main())\n"
        )
        program.chmod(0o755)
        register = [sys.executable, "-m", "argcomplete.scripts.register_python_argcomplete"]
        script = subprocess.run([*register, "t2i-jax"], capture_output=True, check=True).stdout
        (folder / "rc").write_bytes(script + b"\nPS1='$ '\n")
        self._terminal, inner = pty.openpty()
        search = f"{program.parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        command = ["bash", "--noprofile", "--rcfile", str(folder / "rc"), "-i"]
        ends = {"stdin": inner, "stdout": inner, "stderr": inner}
        self._bash = subprocess.Popen(
            command, cwd=folder, env=env, start_new_session=True, close_fds=True, **ends
        )
        os.close(inner)

    def typed(self, line: str) -> list[str]:
        """The words that a line has become after its keys, which are printed in place of run."""
        # Ctrl-A, and a command that prints its words between marks.
        os.write(self._terminal, f"{line}\x01printf '<%s>\\n' \x05 end\n".encode())
        seen, until = "", time.monotonic() + 60
        while "<end>" not in seen:
            assert select.select([self._terminal], [], [], until - time.monotonic())[0], seen
            seen += os.read(self._terminal, 65536).decode()
        lines = seen.replace("\r", "").splitlines()
        words = [text[1:-1] for text in lines if text.startswith("<") and text.endswith(">")]
        assert words[0] == "t2i-jax" and words[-1] == "end", seen
        return words[1:-1]

    def close(self):
        self._bash.kill()
        self._bash.wait()
        os.close(self._terminal)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    (folder / "my_birds.py").write_text("ARGUMENTS = ('large', 'small')\n")
    opened = Shell(folder)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("t2i-jax sw" + TAB, ["sweep"]),
        ("t2i-jax train --print_c" + TAB, ["train", "--print_config"]),
        ("t2i-jax train --config=gan_int_cls:fl" + TAB, ["train", "--config=gan_int_cls:flowers"]),
        (
            "t2i-jax train --config gan_int_cls:fl" + TAB,
            ["train", "--config", "gan_int_cls:flowers"],
        ),
        ("t2i-jax train --config=my" + TAB, ["train", "--config=my_birds.py"]),
        ("t2i-jax train --config=my_birds.py:l" + TAB, ["train", "--config=my_birds.py:large"]),
        ("t2i-jax sweep --sweep=df_gan_p" + TAB, ["sweep", "--sweep=df_gan_penalty"]),
        ("t2i-jax evaluate --protocol=text" + TAB, ["evaluate", "--protocol=text_probe"]),
        (
            "t2i-jax prepare --dataset toy_birds_m" + TAB,
            ["prepare", "--dataset", "toy_birds_mixed"],
        ),
        (
            "t2i-jax train --config=df_gan:cub --optim.g.l" + TAB,
            ["train", "--config=df_gan:cub", "--optim.g.lr"],
        ),
    ],
)
def test_what_can_be_meant_is_written_out(shell, line, words):
    assert [word.removesuffix("=") for word in shell.typed(line)] == words


def test_all_that_can_follow_is_shown(shell):
    """Every command; every argument of a config that takes over another's."""
    from t2i_jax.__main__ import COMMANDS

    assert set(COMMANDS) <= set(shell.typed("t2i-jax " + ALL))
    first, *more = shell.typed("t2i-jax train --config dm_gan:" + ALL)[2:]
    assert first.startswith("dm_gan:")  # what follows the colon is a word of its own to bash
    assert {"cub", "coco", "debug"} <= {first.removeprefix("dm_gan:"), *more}
    assert shell.typed("t2i-jax train --config=gan_" + TAB) == ["train", "--config=gan_int_cls:"]
    names = shell.typed("t2i-jax train --config " + ALL)[2:]
    assert {"my_birds.py", "gan_int_cls", "xmc_gan"} <= set(names)
    assert not any(":" in name for name in names)
    mistyped = shell.typed("t2i-jax train --config=gan_int_clss --optim" + TAB)
    assert mistyped == ["train", "--config=gan_int_clss", "--optim"]
