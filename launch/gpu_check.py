"""What this library does on the GPU at hand, in 14 minutes and without fetching anything.

    bash launch/gpu_check.sh                       # writes ./gpu_check, or $OUT
    bash launch/gpu_check.sh --parts=steps,torch   # 8 of them; then --parts=training,batches
    bash launch/gpu_check.sh --tiny                # the same with tiny networks on a CPU: 3 minutes

steps: every system's train step at the paper's size, in bfloat16 and float32: speed, MFU, memory.
torch: the same of our stand-ins under PyTorch, in float32 and in bfloat16 with channels_last.
training: DAMSM and the quick start's GAN on birds drawn for it, five minutes, and its pictures.
batches: every system's batch in bfloat16, doubled until it does not fit; a process each.

Networks are untrained, images are noise. Results are written after each measurement
(results.json, table.md, logs.txt of what failed), and what is in results.json is not measured
again. A part that has used up its time leaves the rest out and says so.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from gpu.check import PARTS, Check, say
from gpu.plan import FULL, TINY

from t2i_jax.arguments import errors_in_a_line, whole

# Matrix products by Triton's kernels wherever these can: small ones, of which these networks have
# many, and products that end in something elementwise gain. jax's page on GPU performance names
# it. The page's other flags are for several GPUs.
_FLAGS = ("--xla_gpu_triton_gemm_any=true",)
_ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several processes are on the GPU at once
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}
_NEEDED = (
    *("jax", "flax", "optax", "orbax.checkpoint", "etils", "tensorflow_datasets", "array_record"),
    *("pyarrow", "grain", "ml_collections", "chex", "numpy", "scipy", "threadpoolctl", "PIL"),
    *("cv2", "matplotlib", "rich", "safetensors", "tokenizers"),
)


def main(argv=None) -> None:
    """Checks; exits with status 2 and one line where something is missing."""
    args = parse(argv)
    plan = TINY if args.tiny else FULL
    with errors_in_a_line(ValueError, OSError), tempfile.TemporaryDirectory() as work:
        missing = [name for name in _NEEDED if not _is_there(name)]
        if missing:
            raise ValueError(
                f"{sys.executable} has no {', '.join(missing)}; where nothing can be fetched, give "
                "a folder of wheels: WHEELS=DIR bash launch/gpu_check.sh"
            )
        if args.tiny:
            os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ.update(_ENVIRONMENT)
        known = [flag for flag in _FLAGS if "error" not in probe(flag)]
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *known]).strip()
        args.out.mkdir(parents=True, exist_ok=True)
        check = Check(plan, args.lanes, pathlib.Path(work), args.out)
        about = probe("")
        if "error" in about:
            raise ValueError(f"jax does not start: {about['error']}")
        if about["platform"] == "cpu" and not args.tiny:
            raise ValueError("jax finds no GPU here, only a CPU; --tiny tries this script on it")
        check.found["environment"] = {**about, "XLA_FLAGS": os.environ["XLA_FLAGS"]}
        scale = args.minutes * 60 / sum(plan.limits.values()) if args.minutes else 1.0
        for part in args.parts:
            begin = time.monotonic()
            getattr(check, part)(plan.limits[part] * scale)
            say(f"{part}: {time.monotonic() - begin:.0f} s")
        check.save()
        print((args.out / "table.md").read_text(encoding="utf-8"))


def parse(argv=None) -> argparse.Namespace:
    """Arguments; exits with status 2 for an unknown part."""
    parser = argparse.ArgumentParser(
        prog="launch/gpu_check.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--tiny", action="store_true", help="tiny networks on the CPU, to try this script")
    add("--parts", default=",".join(PARTS), help="default: %(default)s")
    add("--lanes", type=whole("lanes", 1, 64), help="processes that compile at once; default: 4")
    add("--minutes", type=whole("minutes", 1, 10_000), help="in place of the plan's 14")
    default = pathlib.Path(os.environ.get("OUT", "gpu_check"))
    add("--out", type=pathlib.Path, default=default, help="default: $OUT, or ./gpu_check")
    args = parser.parse_args(argv)
    args.parts = args.parts.split(",")
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"--parts: no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    args.lanes = args.lanes or (2 if args.tiny else 4)
    return args


def _is_there(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):  # of the package that it is in
        return importlib.util.find_spec(module) is not None
    return False


def probe(flag: str) -> dict[str, str]:
    """Platform, device and versions, as a process of its own finds them with a flag of XLA's, which
    ends a process that does not know it; else ``error``.
    """
    code = (
        "import jax, json, platform as p; d = jax.devices()[0]; print(json.dumps({'platform': "
        "d.platform, 'device': d.device_kind, 'Python': p.python_version(), 'jax': "
        "jax.__version__}))"
    )
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
