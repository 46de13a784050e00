"""Real trainings by the command line, in processes of their own, and what they wrote."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from quick_compiling import options

from t2i_jax.training import sealed

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = f"{ROOT / 'configs' / 'gan_int_cls.py'}:debug"
RATES = ("steps_per_second", "images_per_second")
PATIENCE = 280  # seconds that a process may take on a busy machine
TRAIN = ("-m", "t2i_jax.train")
TWICE = ("launch/local.py", "--processes=2", "--cpu_devices=2", "--")


class Command:
    """One process of ``python -m t2i_jax.train``, on the debug config by default, with virtual CPU
    devices; or the launcher of two of them, with two devices each (`TWICE`).
    """

    def __init__(
        self,
        workdir,
        data_dir,
        *arguments,
        devices=1,
        variables=None,
        spec=SPEC,
        cwd=ROOT,
        program=TRAIN,
    ):
        self.workdir = workdir
        env = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {options()}",
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            **(variables or {}),
        }
        command = [sys.executable, *program, f"--config={spec}"]
        command += [f"--workdir={workdir}", f"--data.data_dir={data_dir}", *arguments]
        self.process = subprocess.Popen(
            command, env=env, cwd=cwd, stderr=subprocess.PIPE, text=True
        )

    def finish(self) -> tuple[int, str]:
        """(exit status, what was printed to stderr)."""
        try:
            _, printed = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return self.process.returncode, printed

    def succeed(self) -> str:
        """What was printed, of a process that must end well."""
        status, printed = self.finish()
        assert status == 0, printed
        return printed

    def wait_for(self, step: int) -> None:
        """Returns when the line of a step has been written."""
        deadline = time.monotonic() + PATIENCE
        while max(metrics(self.workdir), default=0) < step:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no step {step}: {self.finish()}")
            time.sleep(0.01)


def free_place() -> str:
    """HOST:PORT for a coordinator."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return f"localhost:{probe.getsockname()[1]}"


def processes(count: int, workdir, data_dir, *arguments) -> list[Command]:
    """The processes of one training with two devices each, told of each other in the two ways."""
    where = free_place()
    started = []
    for i in range(count):
        flags = [f"--coordinator={where}", f"--num_processes={count}", f"--process_id={i}"]
        variables = {}
        if i:  # by variables instead
            names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
            variables = dict(zip(names, (f.partition("=")[2] for f in flags), strict=True))
            flags = []
        own = dict(devices=2, variables=variables)
        started.append(Command(workdir, data_dir, "--multihost", *flags, *arguments, **own))
    return started


def metrics(workdir: pathlib.Path) -> dict[int, dict[str, float]]:
    """``metrics.jsonl`` by step without the rates. AssertionError where a value stands twice."""
    rows: dict[int, dict[str, float]] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines(True):
            if not line.endswith("\n"):
                break  # it is being written
            row = sealed.unseal(json.loads(line))
            known = rows.setdefault(row.pop("step"), {})
            assert not known.keys() & row.keys(), f"a step's values stand twice in {workdir}"
            known |= {k: v for k, v in row.items() if k not in RATES}
    return rows
