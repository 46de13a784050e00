"""One step's directory on disk: what must be in it, its JSON files, and where a leaf's bytes lie.

``digests/process_<i>.json`` holds what each process knew when it saved: the shapes, dtypes and
checksums of its leaves (`leaves.summarize`) and the checksums of its JSON items.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from t2i_jax import paths
from t2i_jax.training import leaves

log = logging.getLogger(__name__)

COMMITTED = "commit_success.txt"  # Orbax's last file of a step on a store, which cannot rename

# The items of a checkpoint, each with a file that every whole item has.
SAMPLING = {"ema": "_METADATA", "config": "config.json", "digests": "process_0.json"}
TRAINING = {**SAMPLING, "train": "_METADATA", "data": "process_0.json"}


def steps_in(directory: paths.Path, items: Mapping[str, str]) -> list[int]:
    """The steps in `directory` that have all of `items`, in order."""
    if not directory.is_dir():
        return []
    found = (p for p in directory.iterdir() if p.name.isdigit() and StepFolder(p).has(items))
    return sorted(int(path.name) for path in found)


def to_json(name: str, value: Mapping[str, Any]) -> str:
    """The text that an item's checksum is taken of. Raises TypeError for what JSON cannot hold."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name!r} must be a JSON dict: {error}") from error


def brief(error: Exception) -> str:
    """An error of Orbax or TensorStore without the pages of settings that follow the message."""
    text = str(error).split(" [tensorstore_spec")[0].split(" See full TensorStore details")[0]
    return text if len(text) < 1000 else f"{text[:1000]} ..."


class StepFolder:
    """A step's directory. Every method raises ValueError where a file of it is damaged."""

    def __init__(self, path: paths.Path):
        self.path = path
        self._digests: list[dict] | None = None

    def has(self, items: Mapping[str, str]) -> bool:
        """Whether every item is there. On a local disk a step appears under its name with all of
        them in it, so an incomplete one was copied or edited by hand; on a store it is one that is
        being written, or that a kill left.
        """
        files = [self.path / item / name for item, name in items.items()]
        if paths.protocol(self.path):
            files.append(self.path / COMMITTED)
        return all(file.is_file() for file in files)

    def records(self) -> dict[str, dict[str, dict]]:
        """``{item: {leaf: {"shape", "dtype", "parts"}}}``, merged over the saving processes."""
        every = [one["leaves"] for one in self._every()]
        try:
            return {item: leaves.merge([one[item] for one in every]) for item in every[0]}
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"{self.path / 'digests'}: {error!r}") from error

    def config(self) -> dict:
        """The config that the step was saved with."""
        return self._json("config", 0)

    def data(self) -> dict:
        """The data state of this process; on another number of processes than saved it, the one
        that all of them saved (ValueError where they differ).
        """
        saved_by, now = len(self._every()), jax.process_count()
        if saved_by == now:
            return self._json("data", jax.process_index())
        every = [self._json("data", i) for i in range(saved_by)]
        if any(one != every[0] for one in every):
            raise ValueError(
                f"{self.path / 'data'}: {saved_by} processes saved different states of the data, "
                f"which {now} cannot continue: use {saved_by} processes"
            )
        return every[0]

    def _every(self) -> list[dict]:
        """The digests of all processes that saved."""
        if self._digests is None:
            path = self.path / "digests" / "process_0.json"
            try:
                self._digests = [json.loads(paths.read_bytes(path))]
                for i in range(1, self._digests[0]["processes"]):
                    path = path.with_name(f"process_{i}.json")
                    self._digests.append(json.loads(paths.read_bytes(path)))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._digests = None
                raise self.damaged(f"{path}: {error!r}") from error
        return self._digests

    def _json(self, item: str, process: int) -> dict:
        name = "config.json" if item == "config" else f"process_{process}.json"
        path = self.path / item / name
        try:
            value = json.loads(paths.read_bytes(path))
            expected = self._every()[process]["json"][item]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"{path}: {error!r}") from error
        if leaves.text_crc32(to_json(item, value)) != expected:
            raise self.damaged(f"{path} is not what was saved")
        return value

    def damaged(self, what: str) -> ValueError:
        """The error to raise, with the remedy."""
        others = [s for s in steps_in(self.path.parent, TRAINING) if str(s) != self.path.name]
        return ValueError(
            f"damaged checkpoint: {what}\nDelete or replace {self.path}, then run again; other "
            f"whole checkpoints in this directory: {others or 'none'}."
        )

    def unreadable(self, item: str, names: Iterable[str]) -> str | None:
        """The first leaf that cannot be read, its file and why; None where all can be. Slow."""
        import tensorstore  # needed for these messages only

        base = _url(self.path / item)
        for name in names:
            kvstore = {"driver": "ocdbt", "base": base, "path": f"{name.replace('/', '.')}/"}
            try:
                tensorstore.open({"driver": "zarr", "kvstore": kvstore}).result().read().result()
            except ValueError as error:
                return f"{item}/{name} in {self.file_of(item, name)}: {brief(error)}"
        return None

    def file_of(self, item: str, leaf: str) -> paths.Path:
        """The data file that holds a leaf; the item's directory where that cannot be told."""
        import tensorstore

        folder = self.path / item
        try:
            store = tensorstore.KvStore.open(_url(folder)).result()
            root = tensorstore.ocdbt.dump(store).result()["versions"][-1]["root"]["location"]
            for entry in tensorstore.ocdbt.dump(store, root).result()["entries"]:
                key = entry["key"].decode()
                if key.startswith(f"{leaf.replace('/', '.')}/") and not key.endswith(".zarray"):
                    # "value:<folder>:<file>:<offset>:<length>", or the small value itself, which
                    # then lies in the file of the index.
                    _, *parts, _, _ = entry.get("indirect_value", root).split(":")
                    return folder.joinpath(*(part.lstrip("/") for part in parts))
        except Exception:  # the index may be what is damaged
            log.debug("no index of %s", folder, exc_info=True)
        return folder


def _url(folder: paths.Path) -> str:
    return f"{folder}/" if paths.protocol(folder) else f"file://{folder}/"
