"""How a run came to be: every start of its training with command, code, packages, devices, cost."""

import datetime
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import jax

from t2i_jax import paths
from t2i_jax.training import sealed
from t2i_jax.versions import versions

FILE = "provenance.json"
PACKAGES = ("t2i_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


class Provenance:
    """``provenance.json`` of a run: a list of starts, the sums of their hours and images.

    Written when a training begins and at every checkpoint, so that a killed one lacks no more than
    what it has to do again. Hours of wall clock count from the start of this object, compiling and
    waiting included; a device-hour is one hour of one device.

    start: steps that were done before. images_per_step: of the global batch.
    Raises ValueError for a file that is damaged.
    """

    def __init__(self, workdir: paths.Path, start: int, images_per_step: int):
        self._path, self._images_per_step = workdir / FILE, images_per_step
        known = sealed.read(self._path) if paths.exists(self._path) else {"starts": []}
        self._began = time.time()
        self._now: dict[str, Any] = {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": sys.orig_argv,
            "code": commit(pathlib.Path(__file__)),
            "packages": versions(PACKAGES),
            "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            "processes": jax.process_count(),
            "from_step": start,
        }
        self._before = known["starts"]
        self.update(start)

    def update(self, step: int) -> None:
        """Notes that `step` steps are done."""
        hours = (time.time() - self._began) / 3600
        now = self._now | {
            "to_step": step,
            "hours": round(hours, 4),
            "device_hours": round(hours * jax.device_count(), 4),
            "images": (step - self._now["from_step"]) * self._images_per_step,
        }
        starts = [*self._before, now]
        self.total = {
            key: round(sum(start[key] for start in starts), 4)
            for key in ("hours", "device_hours", "images")
        }
        sealed.write(self._path, {"total": self.total, "starts": starts})

    def so_far(self) -> str:
        """The cost in words."""
        return f"{self.total['device_hours']:.2f} device-hours, {self.total['images']:,} images"


def commit(file: pathlib.Path) -> str:
    """The git commit that a source file is of, with " and changes" where its working tree differs
    from it; "" for one that git does not know, as of an installed package.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(file.parent), *arguments]
        plain = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" and changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
