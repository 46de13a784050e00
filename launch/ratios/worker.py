"""One side of a measurement: a process that builds a train step and runs one whenever it is told.

    python -m ratios.worker

Lines of JSON on stdin and stdout. The first is the job (`jax_side.build`, `torch_side.build`); the
answer has what building took. Then a word a line: ``step``, ``forget`` (what memory was held),
``end``. What libraries print goes to stderr.
"""

import importlib
import json
import math
import os
import sys
from typing import Any

from ratios.usage import forget_peak, peak_memory, timed

KINDS = {"jax": "ratios.jax_side", "torch": "ratios.torch_side"}


def main() -> None:
    """Answers until it is told to end; exits with status 2 after an error that it has told."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**fields: Any) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    job = json.loads(sys.stdin.readline())
    os.sched_setaffinity(0, job["cores"])  # before XLA makes as many threads as there are cores
    try:
        built, step = importlib.import_module(KINDS[job["kind"]]).build(job)
        answer(**built)
        losses, forgotten = {}, False
        for line in sys.stdin:
            match line.strip():
                case "step":
                    spent, losses = timed(step)
                    answer(**spent)
                case "forget":
                    forgotten = forget_peak()
                    answer(forgotten=forgotten)
                case "end":
                    peak, count = peak_memory(), getattr(step, "flops", None)
                    counted = {"flops": count()} if count else {}  # PyTorch counts none
                    answer(peak=peak, forgotten=forgotten, bad=not_finite(losses), **counted)
                    return
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        answer(error=" ".join(str(error).split()))
        sys.exit(2)


def not_finite(losses: dict[str, float]) -> list[str]:
    """Names of losses that are NaN or infinite."""
    return [name for name, value in losses.items() if not math.isfinite(value)]


if __name__ == "__main__":
    main()
