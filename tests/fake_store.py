"""A store in memory under ``gs://``, as strict as Google's: files are written whole and never
appended to, a folder without files is none, and some buckets refuse.
"""

import sys

import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.utils import stringify_path

from t2i_jax import paths

FORBIDDEN, SHOWN = "closed", "shown"  # a bucket that nobody may use; one that nobody may write to


class FakeStore(MemoryFileSystem):
    """``gs://bucket/name``. uploads: the names of all files that were written, in order."""

    protocol = ("gs", "gcs")
    store: dict = {}
    pseudo_dirs = [""]
    uploads: list[str] = []

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol("/" + stringify_path(path).removeprefix("gs://"))

    def _check(self, path, writing: bool) -> None:
        bucket = self._strip_protocol(path).split("/")[1]
        if bucket == FORBIDDEN or (writing and bucket == SHOWN):
            right = "create" if writing else "get"
            raise OSError(f"Forbidden: {path}\nme@x.org does not have storage.objects.{right}")

    def mkdir(self, path, create_parents=True, **kwargs):
        """Nothing: there are no folders but those of files."""

    def makedirs(self, path, exist_ok=False):
        """As `mkdir`."""

    def info(self, path, **kwargs):
        self._check(path, writing=False)
        return super().info(path, **kwargs)

    def _open(self, path, mode="rb", **kwargs):
        self._check(path, mode != "rb")
        assert mode in ("rb", "wb"), "a store has whole files"
        if mode == "wb":
            self.uploads.append(path.removeprefix("/"))
        return super()._open(path, mode, **kwargs)

    def glob(self, path, **kwargs):
        return [found.removeprefix("/") for found in super().glob(path, **kwargs)]


@pytest.fixture
def store(monkeypatch):
    """``gs://bucket`` is empty, and in memory."""
    for name in FakeStore.protocol:
        monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, name, FakeStore)
    for contents in (FakeStore.store, FakeStore.uploads):
        contents.clear()
    FakeStore.pseudo_dirs[:] = [""]
    caches = (backend.fsspec_backend._get_filesystem, paths._open_store)
    for cache in caches:
        cache.cache_clear()
    yield FakeStore
    for cache in caches:
        cache.cache_clear()
