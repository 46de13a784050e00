"""Which data a run is trained on: kept with it, so that others under the same name are noticed."""

import base64
from typing import Any

import numpy as np

from t2i_jax import paths
from t2i_jax.data import catalog, content
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.training import sealed

FILE = "data.json"


class RunData:
    """The records of a training, compared with those that the run in `workdir` has had so far.

    workdir: of a run that is resumed; else None.
    accepted: the digest of other data with which the run may go on (``train.accept_data``).
    known: whether the data may be others than those of the run's last checkpoint, or are compared.
    notes: what the user should know, in words.

    Raises ValueError for other data, with what became of the records, and for a damaged file.
    """

    def __init__(self, source: PreparedSplit, workdir: paths.Path | None, accepted: str):
        self._source, self._table = source, content.table(source)
        self.digest = content.digest(self._table)
        self.known, self.notes = False, ()
        if workdir is None:
            return
        path = workdir / FILE
        if not paths.exists(path):
            self.notes = (f"this run is older than its {FILE}: its data are taken to be the same",)
            return
        saved = sealed.read(path)
        if not {"digest", "table"} <= saved.keys():
            raise ValueError(
                f"{path} is damaged: it has no digests. Take it from a copy of the run"
            )
        self.known = True
        if saved["digest"] == self.digest:
            return
        changes = "\n  ".join(self._differences(saved))
        if accepted != self.digest:
            raise ValueError(
                f"{workdir} was trained on other data than {source.info['path']} has now in split "
                f"{source.info['split']!r}:\n  {changes}\nPrepare them as they were, or start a "
                "new run in another workdir. To go on with them as they are: "
                f"--train.accept_data={self.digest}"
            )
        self.notes = (f"going on with other data (train.accept_data={accepted}):\n  {changes}",)

    def write(self, workdir: paths.Path) -> None:
        """Writes ``data.json``: name, place and digest of the data, and digests of every record."""
        info = self._source.info
        sealed.write(
            workdir / FILE,
            {
                "name": f"{info['name']}/{info['config']}",
                "split": info["split"],
                "path": info["path"],
                "records": len(self._table),
                "digest": self.digest,
                "table": base64.b64encode(self._table.tobytes()).decode(),
            },
        )

    def _differences(self, saved: dict[str, Any]) -> list[str]:
        try:
            old = np.frombuffer(base64.b64decode(saved["table"]), self._table.dtype)
            old = old.reshape(-1, self._table.shape[1])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{FILE} of the run is damaged: its table: {error}") from error
        return content.differences(old, self._table, lambda i: self._source[i]["image/id"])


def full_names(asked: str, saved: str | None, data_dir: str) -> tuple[str, str | None]:
    """(name of the data set, name that the run has for it), in full where they are the same set.

    asked: ``data.name`` of the command; the run's own is meant where it says less. saved: that of
    the run, None for a new one; older runs have kept what they were asked for. Raises as
    `catalog.open_split`.
    """
    parts, before = asked.partition("/"), (saved or "").partition("/")
    if parts[0] == before[0] and not parts[2]:
        asked = saved
    full = catalog.full_name(asked, data_dir)
    return full, full if parts[0] == before[0] and before[2] in ("", parts[2]) else saved
