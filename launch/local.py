"""One training in several processes on this machine.

    python launch/local.py --processes=2 --gpus=0,1,2,3 -- --config=gan_int_cls:cub --workdir=runs/a

What follows `--` are options of ``python -m t2i_jax.train``. The GPUs are shared out evenly;
--cpu_devices=N instead gives each process N virtual CPU devices, which shows on any machine whether
a training runs in several processes. The first process prints here, the others to files.

Ctrl-C and SIGTERM reach all processes, which save and end together; the same command goes on.
Where one dies, the others are stopped, and the status is the dead one's.
"""

import argparse
import dataclasses
import math
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from t2i_jax import arguments, signals

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A training that was told to stop ends so of its own accord, and the others with it.
_STOPPED = [128 + number for number in (*_FORWARDED, signal.SIGPIPE)]
_LAST = 10  # lines of a dead process that are shown
_LOOK = 0.05  # seconds between looks at the processes


@dataclasses.dataclass(frozen=True)
class Member:
    """One of the processes. variables: of its environment. log: where it prints, or None: here."""

    command: Sequence[str]
    variables: Mapping[str, str]
    log: pathlib.Path | None

    def start(self) -> subprocess.Popen:
        """In a session of its own: a terminal's Ctrl-C reaches it once, by way of us."""
        with open(self.log or os.devnull, "wb") as file:
            printed = {"stdout": file, "stderr": subprocess.STDOUT} if self.log else {}
            env = {**os.environ, **self.variables}
            return subprocess.Popen(self.command, env=env, start_new_session=True, **printed)

    def line(self) -> str:
        """For a shell."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        line = " ".join([*settings, shlex.join(self.command)])
        return f"{line} >{shlex.quote(str(self.log))} 2>&1" if self.log else line


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; those of the training are `training`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    at = argv.index("--") if "--" in argv else len(argv)
    usage = "%(prog)s --processes=N (--gpus=0,1,... | --cpu_devices=N) -- OPTION [OPTION ...]"
    made = argparse.ArgumentParser(
        usage=usage, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--processes", type=arguments.whole("processes", 1, 1024), required=True)
    devices = made.add_mutually_exclusive_group(required=True)
    devices.add_argument("--gpus", metavar="0,1,...", help="numbers of the GPUs, as nvidia-smi's")
    devices.add_argument("--cpu_devices", type=arguments.whole("cpu_devices", 1, 1024), metavar="N")
    made.add_argument(
        "--logs", type=pathlib.Path, help="folder of process_I.log (default: a temporary one)"
    )
    made.add_argument(
        "--grace",
        type=arguments.real("grace", 86400),
        default=20.0,
        metavar="SECONDS",
        help="when one has died, the others end within this, or are killed (default: %(default)g)",
    )
    made.add_argument("--dry_run", action="store_true", help="print the commands instead")
    args = made.parse_args(argv[:at])
    args.training = argv[at + 1 :]
    if not args.training:
        made.error("what to train is missing: -- --config=NAME --workdir=RUN")
    args.gpus = [part for part in (args.gpus or "").split(",") if part]
    if len(args.gpus) % args.processes or not (args.gpus or args.cpu_devices):
        made.error(
            f"--gpus names {len(args.gpus)}, which {args.processes} processes cannot share in "
            "equal parts"
        )
    return args


def free_port() -> int:
    """One that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def members(args: argparse.Namespace) -> list[Member]:
    """The processes that the options describe."""
    command = (sys.executable, "-m", "t2i_jax.train", "--multihost", *args.training)
    coordinator, share = f"localhost:{free_port()}", len(args.gpus) // args.processes
    if args.processes > 1 and args.logs is None:
        args.logs = pathlib.Path(tempfile.gettempdir(), f"t2i_jax_local_{os.getpid()}")
    made = []
    for i in range(args.processes):
        variables = {
            "JAX_COORDINATOR_ADDRESS": coordinator,
            "JAX_NUM_PROCESSES": str(args.processes),
            "JAX_PROCESS_ID": str(i),
        }
        if args.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(args.gpus[i * share : (i + 1) * share])
        else:
            flag = f"--xla_force_host_platform_device_count={args.cpu_devices}"
            variables["JAX_PLATFORMS"] = "cpu"
            variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        made.append(Member(command, variables, args.logs / f"process_{i}.log" if i else None))
    return made


def supervise(group: Sequence[Member], grace: float) -> int:
    """Runs the processes to their ends; the exit status, 0 where all ended well."""
    started: list[subprocess.Popen] = []
    asked: list[int] = []
    first, deadline = 0, None

    def tell(number: int, _=None) -> None:
        for process in started:
            if process.poll() is None:
                process.send_signal(number)

    def hear(number: int, _) -> None:
        asked.append(number)
        tell(number)

    with signals.heard(_FORWARDED, hear):
        try:
            for member in group:
                if not asked:
                    started.append(member.start())
            if len(started) < len(group):  # those that started would wait for the others
                return 128 + asked[0]
            while True:
                codes = [process.poll() for process in started]
                dead = [i for i, code in enumerate(codes) if code and code not in _STOPPED]
                if dead and deadline is None:
                    for i in dead:
                        _tell_end(i, _status(codes[i]), group[i].log)
                    first = _status(codes[dead[0]])
                    tell(signal.SIGTERM)
                    deadline = time.monotonic() + grace
                if deadline is not None and time.monotonic() > deadline:
                    _say(f"killing what has not ended within {grace:g} s")
                    tell(signal.SIGKILL)
                    deadline = math.inf
                if None not in codes:
                    break
                time.sleep(_LOOK)
        finally:
            tell(signal.SIGKILL)
    return first or next((_status(p.returncode) for p in started if p.returncode), 0)


def _status(code: int) -> int:
    """As shells have it: 128 and the signal's number where a signal ended it."""
    return code if code >= 0 else 128 - code


def _tell_end(index: int, status: int, log: pathlib.Path | None) -> None:
    where = f" (all it printed: {log})" if log else ""
    _say(f"process {index} died with status {status}{where}; stopping the others")
    for line in log.read_text(errors="replace").splitlines()[-_LAST:] if log else ():
        print(f"[process {index}] {line}", file=sys.stderr)


def _say(text: str) -> None:
    print(f"local: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command; its exit status."""
    args = parse()
    group = members(args)
    if args.dry_run:
        print("\n".join(member.line() for member in group))
        return 0
    try:
        if args.logs:
            args.logs.mkdir(parents=True, exist_ok=True)
            _say(f"processes 1 to {args.processes - 1} print to {args.logs}/process_I.log")
        return supervise(group, args.grace)
    except OSError as error:
        _say(f"error: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
