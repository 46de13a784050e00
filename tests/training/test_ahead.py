"""Compiling in a thread of its own: what it finds, what goes wrong in it, and stops during it."""

import os
import signal
import threading

import jax
import pytest
from train_commands import SPEC

from t2i_jax import config as configs
from t2i_jax.training import ahead, loop
from t2i_jax.training.stopping import Stopped, Stopping


class Program:
    """In the place of a traced program: calls `compiling` when it is compiled."""

    def __init__(self, compiling):
        self.compile = compiling


def test_what_compiling_raises_is_raised_where_the_program_is_asked_for():
    def fail():
        raise ValueError("no memory for it")

    began = ahead.Ahead(Program(fail))
    for _ in range(2):
        with pytest.raises(ValueError, match="no memory for it"):
            began.compiled()


def test_it_says_that_the_program_comes_from_the_cache():
    """Of the program itself: others may be taken from there, or compiled, at the same time."""
    here, there = threading.Event(), threading.Event()

    def slow():
        there.set()
        assert here.wait(60)
        return "compiled"

    def hit():
        jax.monitoring.record_event(ahead._FROM_CACHE)
        return "found"

    compiling = ahead.Ahead(Program(slow))
    assert there.wait(60)
    jax.monitoring.record_event(ahead._FROM_CACHE)  # of another program
    found = ahead.Ahead(Program(hit))
    assert found.compiled() == "found"
    assert found.told().endswith(f"taken from {jax.config.jax_compilation_cache_dir}")
    here.set()
    assert compiling.compiled() == "compiled" and "taken from" not in compiling.told()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_ends_the_wait_for_the_compiler(number):
    over = threading.Event()
    began = ahead.Ahead(Program(lambda: over.wait(60)))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    try:
        with Stopping().listening(), pytest.raises(Stopped) as stop:
            timer.start()
            began.compiled()
        assert stop.value.code == 128 + number and began._thread.is_alive()
    finally:
        over.set()


def test_a_step_that_cannot_be_traced_is_told_before_captions_are_encoded(
    data_dir, tmp_path, one_device
):
    config = configs.load(SPEC)
    config.data.data_dir, config.encoder.source = str(data_dir), "random"
    config.loss.g.no_such_term = 1.0
    with pytest.raises(ValueError, match="no_such_term"):
        loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "cache").exists()
