"""Writing an exported folder: what `t2i_jax.training.exported` reads, a picture, a model card."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from t2i_jax import config as configs
from t2i_jax import paths, pictures
from t2i_jax.evaluation import results
from t2i_jax.exporting import model_card
from t2i_jax.exporting.place import whole
from t2i_jax.interop import weights
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.sampler import Sampler
from t2i_jax.training import exported, modules, networks, runs, sealed

FILES = (*exported.FILES, *exported.BESIDE)
# What evaluations and reports of the folder add to it.
_KEPT = (results.FOLDER, "report.html", "report.md", "report.csv")

_FEW = 8  # captions that are drawn several times
_TIMES = 4
_WITHOUT_TEXT = 32  # images of a generator that reads nothing
_PLACE = re.compile(r"~|/|[A-Za-z][\w+.-]*://")  # begins what only one machine or account has


def write(
    workdir: str | os.PathLike,
    out: str | os.PathLike,
    step: int | None = None,
    captions: str | Sequence[str] = (),
    license: str = "",
    name: str = "",
) -> list[pathlib.Path]:
    """Writes a run's checkpoint as a folder, whole or not at all, in the place of an earlier
    export, of which evaluations and reports stay; returns the files.

    step: by default the latest.
    captions: of the picture; by default it is the training's own grid of that step, where one was
        drawn.
    license: of the weights, for the card. name: under which it is to be found, for the card; by
        default that of the folder.

    Raises FileNotFoundError where `workdir` is no run or has no such checkpoint; ValueError for a
    run that draws no images or is damaged, for a folder that holds something else, and for what is
    no name of a license.
    """
    out = paths.local(out, "exported folders")
    model_card.check_license(license)
    captions = [captions] if isinstance(captions, str) else captions
    with whole(out, exported.MANIFEST, FILES, _KEPT) as partial:
        _check_card(out)
        if exported.is_export(workdir):
            raise ValueError(
                f"{workdir} is an exported folder already: copy it, or upload it from Python, "
                f"Sampler.from_pretrained({os.fspath(workdir)!r}).push_to_hub('USER/NAME')"
            )
        step = runs.latest_step(workdir) if step is None else step
        config, ema = runs.load_ema(workdir, step)
        if not issubclass(modules.recipe_module(config.system).Recipe, GanRecipe):
            raise ValueError(f"{workdir} is a run of {config.system!r}, which draws no images")
        picture = _picture(workdir, step, config, captions)
        name = name or out.resolve().name
        (partial / exported.ENCODER).parent.mkdir()
        _write_networks(workdir, partial, config, ema)
        if picture is not None:
            pictures.save(picture, partial / exported.PICTURE)
        shown = "" if picture is None else exported.PICTURE
        card = model_card.text(workdir, step, license, name, captions, shown)
        (partial / exported.CARD).write_text(card, encoding="utf-8")
        sealed.write(partial / exported.MANIFEST, exported.describe(partial, step))
        exported.check(partial)
    return [out / file for file in FILES if (out / file).exists()]


def _check_card(out: pathlib.Path) -> None:
    """Raises ValueError where somebody has edited the card of an earlier export."""
    card = out / exported.CARD
    if card.exists() and exported.sha256(card) != exported.manifest(out).get("card"):
        raise ValueError(
            f"{card} was edited since the export, and would be lost: move it away, or name a new "
            "folder"
        )


def _write_networks(
    workdir: str | os.PathLike, folder: pathlib.Path, config, ema: Mapping[str, Any]
) -> None:
    # Of several metadata safetensors 0.8.0 writes the order by chance, and no file twice alike.
    weights.save(folder / exported.WEIGHTS, ema)
    shared = configs.from_dict(_anywhere(config.to_dict()))
    shared.data.name = model_card.data_name(config)  # which needs no module of the user's
    runs.write_config(folder, shared)
    if runs.has_tokenizer(workdir):
        runs.write_tokenizer(folder, runs.read_tokenizer(workdir))
    if config.encoder.name and config.encoder.train == "frozen":
        path = networks.path_of(workdir, networks.TEXT_ENCODER)
        weights.load(path)  # finds damage
        paths.write_bytes(folder / exported.ENCODER, paths.read_bytes(path))


def _anywhere(value: Any) -> Any:
    """A config's fields without places of one machine: of a path or an address, the last part says
    enough to others.
    """
    if isinstance(value, dict):
        return {name: _anywhere(inner) for name, inner in value.items()}
    if isinstance(value, str) and _PLACE.match(value):
        return value.rstrip("/").rpartition("/")[2]
    return value


def _picture(
    workdir: str | os.PathLike, step: int, config, captions: Sequence[str]
) -> Image.Image | None:
    """Samples of captions; without any, what the training drew, or what reads none."""
    kept = paths.path(workdir) / "samples" / f"step_{step:08d}.png"
    reads = config.encoder.name or config.data.get("text") == "embeddings"
    if not captions and paths.exists(kept):
        with paths.on_disk(kept) as file, Image.open(file) as image:
            return image.convert("RGB")
    if captions:
        times = _TIMES if len(captions) <= _FEW else 1
        images = Sampler.from_workdir(workdir, step).sample(captions, num=times)
        if times == 1:
            return pictures.grid(list(images), captions)
        rows = [list(images[i : i + times]) for i in range(0, len(images), times)]
        return pictures.table(list(map(pictures.Row, captions, rows)))
    if not reads:
        return pictures.grid(list(Sampler.from_workdir(workdir, step).sample(num=_WITHOUT_TEXT)))
    return None
