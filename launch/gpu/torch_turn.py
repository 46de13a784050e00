"""The step of a stand-in under PyTorch, measured as `t2i-jax benchmark` measures ours.

python -m gpu.torch_turn FD --config=df_gan:cub --dtype=bfloat16 --channels_last --out=FILE
"""

import argparse
import importlib
import json
import os
import sys
import time

import numpy as np

_WARM_UP = 3  # steps before the clock starts


def main() -> None:
    """Measures; see `gpu.turns.Run` for FD. Unknown options override the config's fields."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ready", type=int)
    parser.add_argument("--config", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--out", required=True)
    args, overrides = parser.parse_known_args()

    import torch

    from t2i_jax.profiling import missing
    from t2i_jax.training import fields

    with missing.replaced(fields.resolve(args.config, overrides).config) as (config, _):
        config = config.to_dict()
    on_gpu = torch.cuda.is_available()
    torch.backends.cudnn.benchmark = True  # chooses each convolution's algorithm, as authors do
    rows = config["data"]["batch"]
    step = importlib.import_module(f"stand_ins.{config['system']}").Step(
        config,
        rows=rows,
        words=config["tokenizer"].get("length", 0),
        device="cuda" if on_gpu else "cpu",
        dtype=args.dtype,
        channels_last=args.channels_last,
    )
    for _ in range(_WARM_UP):
        step()
    os.write(args.ready, b"!")
    sys.stdin.readline()
    times = []
    for _ in range(args.steps):
        begin = time.perf_counter()
        step()  # returns numbers: all of it has run
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    images = rows * config["d_steps"]
    found = {
        "images": images,
        "seconds": [float(x) for x in np.quantile(times, (0.25, 0.5, 0.75))],
        "images_per_second": images / float(np.median(times)),
        "device_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "torch": torch.__version__,
    }
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
