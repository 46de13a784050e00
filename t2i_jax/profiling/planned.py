"""The program that one of many devices would run, compiled for as many virtual ones and never run.

`t2i_jax.profiling.plan` starts this file as a process that has as many devices. Nothing is
allocated: all arrays are shapes.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

import jax
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax.profiling import collectives, flops, step_time
from t2i_jax.training.parallel import make_parallel
from t2i_jax.training.step import init_state, make_step


def program(config: ConfigDict, rows: int) -> dict[str, Any]:
    """Plain JSON about the step of a config for all devices of this process, `rows` for each.

    ``flops``: of all devices together, in the forms of convolutions that accelerators run.
    ``arguments``, ``temporaries``, ``results``: bytes on each device; results count those that do
    not take an argument's place. ``bytes_accessed``: by each. ``collectives``: by kind, how many
    there are and the bytes that a device sends for them. ``seconds``: of tracing and compiling.
    """
    begin = time.perf_counter()
    config = config.copy_and_resolve_references()
    config.data.batch = rows
    work = step_time.make_workload(config, jax.eval_shape)
    system, options, count = work.system, work.options, jax.device_count()
    state = jax.eval_shape(
        lambda f: init_state(system.recipe, options, work.batch, f), system.variables
    )
    batch = {
        k: jax.ShapeDtypeStruct((options.d_steps, rows * count, *v.shape[1:]), v.dtype)
        for k, v in work.batch.items()
    }
    frozen = system.in_step(system.variables)
    parallel = make_parallel(config.parallel, config.fsdp)
    inputs = parallel.placed(state, batch, frozen)
    step = make_step(system.recipe, options, parallel.axis_name)
    compiled = parallel.compile(step, *inputs)
    memory = compiled.call.memory_analysis()
    number, sent = Counter(), Counter()
    for found in collectives.collectives(compiled.call.as_text(), count):
        number[found.kind] += 1
        sent[found.kind] += found.sent
    return {
        "devices": count,
        "flops": flops.of_step(system.recipe, options, state, batch, frozen),
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "bytes_accessed": compiled.bytes_accessed,
        "collectives": {kind: {"number": number[kind], "sent": sent[kind]} for kind in number},
        "parameters": {
            name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in state.params.items()
        },
        "seconds": time.perf_counter() - begin,
        "notes": list(work.notes),
    }


def main() -> None:
    """Reads the arguments of `program` as JSON from stdin, writes what it found to stdout."""
    asked = json.load(sys.stdin)
    found = program(configs.from_dict(asked["config"]), asked["rows"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
