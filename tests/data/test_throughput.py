"""The throughput measurement adds up."""

import pytest

from t2i_jax.data import throughput
from t2i_jax.data.pipeline import DataOptions

from .sources import TOKENIZER, MemorySource


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_measured_adds_up(workers):
    options = DataOptions(size=16, batch=8, mismatch="image", threads=1, workers=workers)
    found = throughput.measure(options, TOKENIZER, 0.2, source=MemorySource())
    assert found.images % 16 == 0 and found.seconds >= 0.2  # wrong images count too
    assert found.images_per_second == found.images / found.seconds
    assert found.stages.keys() == {"read", "decode", "transform", "text"}
    assert 0 < found.stages["decode"] < 5  # milliseconds of a 40 px JPEG
    # One thread of one process cannot use more than its clock, give or take the counters' ticks.
    assert workers or 0 < found.cpu_seconds < 2.5 * found.seconds
