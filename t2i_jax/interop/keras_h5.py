"""Weights of Keras in HDF5 (``.h5``, Keras 1 and 2) without Keras: arrays by layer and leaf."""

import os

import numpy as np

from t2i_jax import paths


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays by names such as ``conv2d_1/kernel``.

    Raises FileNotFoundError; ValueError where the file is not of HDF5; ModuleNotFoundError where
    h5py is missing.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{os.fspath(path)}: reading it needs h5py: pip install 't2i_jax[eval]'", name="h5py"
        ) from error
    found = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, _, leaf = name.rpartition(":")[0].rpartition("/")
            found[f"{layer.rpartition('/')[2]}/{leaf}"] = np.asarray(item)

    source = paths.path(path)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: there is no such file")
    with paths.on_disk(source) as file:
        try:
            with h5py.File(file, "r") as content:
                content.visititems(keep)
        except OSError as error:
            raise ValueError(f"{source}: not a readable HDF5 file: {error}") from error
    return found
