"""Compiled programs, kept for the next process by jax's persistent cache.

What is kept has a key of the program, of jax and jaxlib, of XLA's flags and of the machine's
instructions, by jax: another step, another version and another kind of processor are compiled anew.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache

from t2i_jax import paths

FOLDER = ".jax_cache"
HOME = "~/.cache/t2i_jax/compiled"
_MOST = 2 << 30  # bytes in a folder; those that were not used for longest go


@contextlib.contextmanager
def kept(workdir: str | os.PathLike | None) -> Iterator[None]:
    """Inside, programs that take more than a second to compile are kept beside the run, for all
    runs of that folder; where that is a store or another user's, or there is no run, in the user's
    own `HOME`.

    A cache that the user has named to jax (``JAX_COMPILATION_CACHE_DIR``), or has switched off
    (``JAX_ENABLE_COMPILATION_CACHE=0``), stays as it is; so it does where no folder can be had.
    """
    config, folder = jax.config, None
    if config.jax_enable_compilation_cache and not config.jax_compilation_cache_dir:
        folder = _folder(workdir)
    if folder is None:
        yield
        return
    wanted = {"jax_compilation_cache_dir": str(folder)}
    if config.jax_compilation_cache_max_size == -1:  # jax's default: no bound
        wanted["jax_compilation_cache_max_size"] = _MOST
    before = {name: getattr(config, name) for name in wanted}
    _configure(wanted)
    try:
        yield
    finally:
        _configure(before)


def _configure(values: dict[str, str | int | None]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # or jax goes by what it found at its first compilation


def _folder(workdir: str | os.PathLike | None) -> pathlib.Path | None:
    """One that the user alone can write to, as what lies there is run; None where none is found."""
    home = pathlib.Path(HOME).expanduser()
    if workdir and not paths.protocol(workdir):
        near = paths.path(workdir).absolute().parent / FOLDER
        if _own(near):
            return near
    return home if _own(home, parents=True) else None


def _own(folder: pathlib.Path, parents: bool = False) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
        found = folder.stat()
    except OSError:
        return False
    writable = os.access(folder, os.W_OK | os.X_OK)
    return writable and found.st_uid == os.getuid() and not found.st_mode & 0o022
