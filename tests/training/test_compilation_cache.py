"""Compiled programs that the next process finds."""

import re

import jax
import pytest
from train_commands import Command

from t2i_jax.training import compilation_cache
from t2i_jax.training.compilation_cache import FOLDER, kept

_UNNAMED = {"JAX_COMPILATION_CACHE_DIR": ""}


@pytest.fixture
def unnamed(monkeypatch, tmp_path):
    """The user has named no cache; their home is in the temporary folder."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(compilation_cache, "HOME", str(tmp_path / "home" / "compiled"))
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.compilation_cache.reset_cache()


def used(workdir) -> str | None:
    with kept(workdir):
        inside = jax.config.jax_compilation_cache_dir
        assert inside is None or jax.config.jax_compilation_cache_max_size == 2 << 30
    assert jax.config.jax_compilation_cache_dir is None
    assert jax.config.jax_compilation_cache_max_size == -1
    return inside


def test_a_second_process_finds_the_step_compiled(data_dir, tmp_path):
    """Two runs of one folder. The program has the same name and the same text in both."""
    printed = []
    for name in ("first", "second"):
        arguments = ("--train.duration=1 steps", "--encoder.source=random")
        command = Command(tmp_path / name, data_dir, *arguments, variables=_UNNAMED)
        printed.append(command.succeed())
    pattern = r"compiled the step of gan_int_cls in [\d.]+ s(.*)"
    told = [re.search(pattern, text)[1] for text in printed]
    assert told == ["", f", taken from {tmp_path / FOLDER}"]
    assert list((tmp_path / FOLDER).glob("jit_step-*-cache"))
    assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0  # what lies there is run
    for text in printed:
        assert "warning" not in text.lower() and "cpu_aot" not in text


def test_programs_are_kept_beside_the_run(unnamed, tmp_path):
    assert used(tmp_path / "runs" / "a") == str(tmp_path / "home" / "compiled")  # no such folder
    assert used(tmp_path / "a") == str(tmp_path / FOLDER)
    with kept(tmp_path / "a"):
        seconds = "jax_persistent_cache_min_compile_time_secs"
        before = getattr(jax.config, seconds)
        jax.config.update(seconds, 0.0)
        jax.jit(lambda x: x * 2.125).lower(1.0).compile()
        jax.config.update(seconds, before)
    assert list((tmp_path / FOLDER).glob("*-cache"))


def test_folders_that_others_may_write_to_are_not_trusted(unnamed, tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER).chmod(0o777)
    home = str(tmp_path / "home" / "compiled")
    assert used(tmp_path / "run") == used("gs://bucket/runs/birds") == used(None) == home


def test_without_any_folder_nothing_is_kept(unnamed, tmp_path):
    (tmp_path / FOLDER).write_text("a file")
    (tmp_path / "home").write_text("a file")
    assert used(tmp_path / "run") is None


def test_a_cache_that_the_user_names_or_switches_off_stays(unnamed, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    with kept(tmp_path / "run"):
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert used(tmp_path / "run") is None
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not (tmp_path / FOLDER).exists()
