"""What the page says of the run that it draws from."""

import os

from t2i_jax import paths
from t2i_jax.demo_page.artist import Artist
from t2i_jax.reporting import cost, run_files
from t2i_jax.sampler import Sampler

_NETWORKS = {"g": "generator", "encoder": "text encoder", "d": "discriminator"}


def facts(
    workdir: str | os.PathLike, name: str, step: int, sampler: Sampler, artist: Artist
) -> list[tuple[str, str]]:
    """Names and values. Of the name only the last part is told, as the page may be shown to others.

    name: of the run, or of the exported folder, as it was asked for. step: of the checkpoint.
    """
    config = sampler.config
    run = run_files.read(paths.path(workdir), "", None, [])
    counts = [f"{_NETWORKS.get(k, k)} {n:,}" for k, n in sampler.parameters.items()]
    found = [
        ("Run", os.path.basename(os.path.abspath(name))),
        ("System", config.system),
        ("Data", f"{config.data.name}, {config.data.split}"),
        ("Step", f"{step:,}"),
        ("Images", f"{' and '.join(map(str, artist.widths))} px"),
        ("Text encoder", config.encoder.name or "none: this run draws without text"),
        ("Parameters", ", ".join(counts)),
    ]
    compiled = f"in {artist.seconds:.1f} s, before this page opened"
    return [*found, ("Cost of training", _spent(run.cost)), ("Compiled", compiled)]


def _spent(spent: run_files.Cost | None) -> str:
    if spent is None:
        return "not written down"
    took, of = cost.duration(spent.device_hours), cost.duration(spent.hours)
    return f"{took} of one device ({of} on {spent.machine}), {spent.images:,} images"
