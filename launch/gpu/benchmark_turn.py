"""``t2i-jax benchmark`` that waits between compiling and measuring until it is its turn.

python -m gpu.benchmark_turn FD [arguments of the benchmark]
"""

import os
import sys
from unittest import mock

from t2i_jax.commands import benchmark
from t2i_jax.profiling import step_time


def main() -> None:
    """Benchmarks; see `gpu.turns.Run` for FD."""
    ready, arguments = int(sys.argv[1]), sys.argv[2:]
    prepare = step_time.prepare

    def prepare_and_wait(work):
        made = prepare(work)
        os.write(ready, b"!")
        sys.stdin.readline()
        return made

    with mock.patch.object(step_time, "prepare", prepare_and_wait):
        benchmark.main(arguments)


if __name__ == "__main__":
    main()
