"""Every file of a run and of its prepared set damaged: what drawing and going on make of it."""

import json
import pathlib
from collections.abc import Callable, Iterator

from train_commands import SPEC

from stress_kinds.ground import Ground, differences, left, saved
from stress_kinds.outcome import FAULTS, Outcome, judge
from stress_kinds.worker import Worker

BASE, END = 6, 8  # steps
# Nothing reads these: pictures and a log are for people.
FOR_PEOPLE = ("samples", "curves.png", "log.txt")


def places(ground: Ground, base: pathlib.Path) -> list[pathlib.Path]:
    """Files that are damaged: of checkpoints those of the newest."""
    newest = base / "checkpoints" / str(saved(base))
    found = [p for p in base.rglob("*") if p.relative_to(base).parts[0] not in FOR_PEOPLE]
    others = newest.parent.glob("[0-9]*/**/*")
    found = set(found) - {p for p in others if newest not in p.parents}
    return sorted(p for p in [*found, *ground.data.rglob("*")] if p.is_file())


def outcomes(ground: Ground, count: int) -> int:
    """About how many outcomes `count` damages have: two each."""
    base = ground.undisturbed(BASE)
    return 2 * min(count, len(places(ground, base)) * len(WAYS))


def trials(ground: Ground, count: int) -> Iterator[Outcome]:
    """`count` of all damages, chosen at random; two outcomes each: of drawing, and of going on."""
    base = ground.undisturbed(BASE)
    chosen = [(place, way) for place in places(ground, base) for way in WAYS]
    if count < len(chosen):
        chosen = ground.rng.sample(chosen, count)
    with Worker(ground.variables) as worker:
        trial = _Trial(ground, worker, base)
        for place, way in chosen:
            yield from trial(place, way)


class _Trial:
    """Does one damage to copies of a run and its data."""

    def __init__(self, ground: Ground, worker: Worker, base: pathlib.Path):
        self.ground, self.worker, self.base = ground, worker, base
        self._copy()
        self.picture = self._draw()[-1]
        status, printed = self._go_on()
        assert self.picture and status == 0, printed
        self.end, self.starts = left(self.run), _starts(self.run)

    def __call__(self, place: pathlib.Path, way: str) -> Iterator[Outcome]:
        self._copy()
        in_run = self.base in place.parents
        copy, of = (self.run, self.base) if in_run else (self.data, self.ground.data)
        path = copy / place.relative_to(of)
        WAYS[way](path, self.ground)
        # By its name alone where only one file has it.
        names = [str(path), *([path.name] if path.parent == self.run else [])]
        if "checkpoints" in path.parts[:-1]:
            names += [str(p) for p in path.parents if p.parent.name == "checkpoints"]
        if not in_run:
            names.append(str(path.parent))
        what = f"{place.relative_to(self.ground.folder)} {way}"
        if in_run:  # drawing reads no data
            status, printed, picture = self._draw()
            differs = [] if picture == self.picture else ["the picture"]
            how = judge(status, printed, names, differs)
            yield _outcome("a file damaged, then drawn from", what, how, printed, differs)
        status, printed = self._go_on()
        differs = [] if status else differences(self.end, self.run)
        if not status and _starts(self.run) != self.starts:
            differs.append("provenance.json lacks starts")
        fell_back = f"resumed from step {BASE} " not in printed
        kind = "a file damaged, then gone on" if in_run else "a file of the data damaged"
        how = judge(status, printed, names, differs, fell_back)
        yield _outcome(kind, what, how, printed, differs)

    def _copy(self) -> None:
        self.run = self.ground.fresh("damaged_run", self.base)
        self.data = self.ground.fresh("damaged_data", self.ground.data)
        self.drawn = self.ground.fresh("drawn")

    def _draw(self) -> tuple[int, str, bytes]:
        told = [f"--workdir={self.run}", "--caption=a small red bird", f"--out={self.drawn}"]
        status, printed = self.worker.run("t2i_jax.sample", *told)
        grid = self.drawn / "grid.png"
        return status, printed, grid.read_bytes() if grid.exists() else b""

    def _go_on(self) -> tuple[int, str]:
        told = [f"--config={SPEC}", f"--workdir={self.run}", f"--data.data_dir={self.data}"]
        return self.worker.run("t2i_jax.train", *told, *self.ground.arguments(END))


def _starts(workdir: pathlib.Path) -> list[int]:
    known = json.loads((workdir / "provenance.json").read_text())
    return [start["from_step"] for start in known["starts"]]


def _outcome(kind: str, what: str, how: str, printed: str, differs: list[str]) -> Outcome:
    good = how not in FAULTS
    return Outcome(kind, what, how, good, "" if good else f"{differs} {printed[-1500:]}")


def _flip(path: pathlib.Path, ground: Ground) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[ground.rng.randrange(len(data))] ^= 1 << ground.rng.randrange(8)
    path.write_bytes(data)


def _halve(path: pathlib.Path, _) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


WAYS: dict[str, Callable[[pathlib.Path, Ground], None]] = {
    "with a bit flipped": _flip,
    "cut in half": _halve,
    "emptied": lambda path, _: path.write_bytes(b""),
    "removed": lambda path, _: path.unlink(),
}
