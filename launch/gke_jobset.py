"""One training on a TPU slice in GKE: fills launch/gke_jobset.yaml in and gives it to kubectl.

    python launch/gke_jobset.py --name=birds --image=REGION-docker.pkg.dev/PROJECT/t2i/t2i:1 \\
        --topology=4x4 --bucket=my-bucket -- --config=gan_int_cls:cub

What follows `--` are options of ``python -m t2i_jax.train``. The image has the package with the
extras "tpu" and "gcs". Runs and data lie in the bucket: gs://BUCKET/runs/NAME and gs://BUCKET/data,
unless --workdir and --data.data_dir say otherwise.

A pod that is told to end has --grace seconds to save; all of them are then started anew and go on
from there. `kubectl delete jobset NAME` stops it so, too, and the same command goes on.
"""

import argparse
import json
import math
import pathlib
import re
import string
import subprocess
import sys
from collections.abc import Sequence

from t2i_jax import arguments

TEMPLATE = pathlib.Path(__file__).with_suffix(".yaml")
# Pods are NAME-train-0-INDEX-XXXXX, of at most 63 letters.
_NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; those of the training are `training`, the slice has `hosts`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    at = argv.index("--") if "--" in argv else len(argv)
    made = argparse.ArgumentParser(
        usage="%(prog)s --name=... --image=... --topology=... --bucket=... -- OPTION [OPTION ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--name", required=True, help="of the JobSet and of the run")
    made.add_argument("--image", required=True, help="of the container")
    made.add_argument("--bucket", required=True, help="in Google Cloud Storage, without gs://")
    made.add_argument("--topology", required=True, metavar="AxB[xC]", help="of the slice's chips")
    made.add_argument(
        "--accelerator",
        default="tpu-v5-lite-podslice",
        help="GKE's name of the TPUs (default: %(default)s)",
    )
    chips = arguments.whole("chips", 1, 8)
    made.add_argument("--chips", type=chips, default=4, help="of each host (default: 4)")
    restarts = arguments.whole("restarts", 0, 10**6)
    made.add_argument(
        "--restarts",
        type=restarts,
        default=10,
        help="at most, those after preemption not counted (default: 10)",
    )
    grace = arguments.whole("grace", 1, 86400)
    made.add_argument("--grace", type=grace, default=120, metavar="SECONDS", help="default: 120")
    made.add_argument("--dry_run", action="store_true", help="print the manifest instead")
    args = made.parse_args(argv[:at])
    args.training = argv[at + 1 :]
    if not args.training:
        made.error("what to train is missing: -- --config=NAME")
    if not re.fullmatch(_NAME, args.name):
        made.error(f"--name={args.name}: at most 40 of a-z, 0-9 and -, a letter first")
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", args.topology):
        made.error(f"--topology={args.topology}: must be AxB or AxBxC, as in 4x4")
    args.hosts, rest = divmod(math.prod(map(int, args.topology.split("x"))), args.chips)
    if rest:
        made.error(f"--topology={args.topology} is no whole number of hosts of {args.chips} chips")
    return args


def manifest(args: argparse.Namespace) -> str:
    """The filled template."""
    places = [
        f"--workdir=gs://{args.bucket}/runs/{args.name}",
        f"--data.data_dir=gs://{args.bucket}/data",
    ]
    command = ["python", "-m", "t2i_jax.train", "--multihost", *places, *args.training]
    values = {
        **{key: value for key, value in vars(args).items() if key != "training"},
        # Kubernetes reads $(NAME) in a command as a variable, and $$ as $.
        "command": [word.replace("$", "$$") for word in command],
    }
    written = {key: json.dumps(value) for key, value in values.items()}
    return string.Template(TEMPLATE.read_text()).substitute(written)


def main() -> int:
    """The command; its exit status is kubectl's."""
    args = parse()
    if args.dry_run:
        print(manifest(args), end="")
        return 0
    try:
        # Not apply: of a JobSet that is there nearly nothing can be changed.
        done = subprocess.run(["kubectl", "create", "-f", "-"], input=manifest(args), text=True)
    except FileNotFoundError:
        print("error: there is no kubectl; --dry_run prints what it is given", file=sys.stderr)
        return 2
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
