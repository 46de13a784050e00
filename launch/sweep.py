"""Runs an ablation grid: one training an entry of ``sweep()``, each in a directory of its name.

    python launch/sweep.py --config=configs/gan_int_cls.py:cub \\
        --sweep=configs/ablations/gan_int_cls_losses.py --workdir=runs/losses [--index=0]

Other options go to every training. ``--index`` runs one entry: a job array's task, say. A file
whose ``sweep(arg)`` takes an argument is given it as a config is, ``--sweep=FILE.py:arg``. An entry
may name another config file in "config", and write "{workdir}" for the folder of all runs.
"""

import argparse
import subprocess
import sys

from t2i_jax.config import load_sweep


def main() -> None:
    """Runs the entries one after the other; stops at the first that fails, with its status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--sweep", required=True)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--index", type=int)
    args, rest = parser.parse_known_args()
    try:
        entries = load_sweep(args.sweep)
    except (ValueError, FileNotFoundError) as error:
        parser.error(f"--sweep: {error}")
    if args.index is not None:
        if not 0 <= args.index < len(entries):
            last = len(entries) - 1
            parser.error(f"--index={args.index}: the entries of {args.sweep} are 0 to {last}")
        entries = [entries[args.index]]
    file, _, arg = args.config.partition(":")
    for number, entry in enumerate(entries):
        name = entry.pop("name")
        print(f"== {number + 1}/{len(entries)} {name}: {entry}", flush=True)
        spec = entry.pop("config", file) + (f":{arg}" if arg else "")
        command = [sys.executable, "-m", "t2i_jax.train", f"--config={spec}"]
        command += [f"--workdir={args.workdir}/{name}", *rest]
        values = {k: str(v).replace("{workdir}", args.workdir) for k, v in entry.items()}
        command += [f"--{field}={value}" for field, value in values.items()]
        status = subprocess.run(command).returncode
        if status:
            print(f"error: entry {name!r} stopped with status {status}", file=sys.stderr)
            sys.exit(status if status > 0 else 1)  # below 0: ended by a signal


if __name__ == "__main__":
    main()
