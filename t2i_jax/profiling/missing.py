"""Untrained networks of the right size in the place of those that a config takes from elsewhere and
that are not there: what a step costs does not depend on their weights.

The size is that of the run that `t2i_jax.training.first_runs` names, or of the published network.
The papers' sets are looked at by the papers' DAMSM, whose image encoder is an Inception-v3.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.training import first_runs, networks
from t2i_jax.training.modules import MODULE, encoder_class, module_hints, recipe_module

_ON_INCEPTION = ("cub", "flowers", "coco")
_PIECES = 30_522  # of the vocabulary of BERT-Base and of MiniLM
_MINILM = {"width": 384, "layers": 6, "heads": 12, "inner": 1536}
_PUBLISHED = {  # words in the names of published image networks
    "vgg": "t2i_jax.encoders.vgg:Vgg",
    "resnet": "t2i_jax.encoders.resnet_50:ResNet50",
    "efficientnet": "t2i_jax.encoders.efficientnet_lite0:EfficientNetLite0",
}
_SHARED = ("image_size", "noise_dim")  # of a style encoder with its generator


@contextlib.contextmanager
def replaced(config: ConfigDict) -> Iterator[tuple[ConfigDict, list[str]]]:
    """A copy of a config that needs nothing but its data, and in words what is not as it says. The
    copy is good inside the context alone.
    """
    config, notes = config.copy_and_resolve_references(), []
    if config.encoder.name and not _is_there(config.encoder.source):
        _replace_encoder(config, notes)
    for name, source in config.frozen.items():
        absent = source == networks.RANDOM and name not in config
        if source and (absent or not _is_there(source)):
            _replace_frozen(config, name, notes)
    with tempfile.TemporaryDirectory(prefix="t2i_jax") as folder:
        _replace_pieces(config, pathlib.Path(folder), notes)
        yield config, notes


def _is_there(source: str) -> bool:
    return source in ("", networks.RANDOM) or networks.exists(source)


def _replace_encoder(config: ConfigDict, notes: list[str]) -> None:
    section = config.encoder
    cls = encoder_class(section.name)
    if section.name == "bert":
        like, sizes = ("MiniLM", _MINILM) if section.source == "minilm" else ("BERT-Base", {})
    else:
        like, trained = _first_run(config, section.name)
        sizes = dict(trained.get("text", {}))
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    given = {k: v for k, v in section.fields.items() if v != defaults.get(k)}
    notes.append(f"no {section.source}: an untrained text encoder, as large as {like}'s")
    section.update({"fields": {**sizes, **given}, "source": networks.RANDOM})


def _replace_frozen(config: ConfigDict, name: str, notes: list[str]) -> None:
    cls, source = recipe_module(config.system).Recipe, config.frozen[name]
    part, _ = networks.frozen_kind(cls, name)
    told = f"frozen.{name}={source}" if source == networks.RANDOM else f"no {source}"
    if name in config:
        like = "as its section says"
    elif name in cls.starting_points:
        config.frozen[name] = ""
        notes.append(f"{told}: the training starts from random weights instead")
        return
    else:
        like, section = _described(config, cls, name, part)
        config[name] = section
        like = f"{section[MODULE].rpartition(':')[2]} as large as {like}'s"
    config.frozen[name] = networks.RANDOM
    notes.append(f"{told}: an untrained network for {name}, {like}")


def _described(config: ConfigDict, cls: type, name: str, part: str) -> tuple[str, dict[str, Any]]:
    """(whose size, the section) of a frozen network that no section describes."""
    source, system = config.frozen[name], cls.trained_by.get(name, "")
    file, _, layer = source.partition(":")
    published = next((k for k in _PUBLISHED if k in pathlib.PurePath(file).name.lower()), None)
    if published is None and name == "image_network" and config.encoder.name != system:
        published = "vgg"  # XMC-GAN's, by the paper
    if published is not None:
        section = {MODULE: _PUBLISHED[published]}
        if published == "vgg":
            section |= {"depth": 16 if "16" in file else 19, "layer": layer}
        return file if source != networks.RANDOM else "VGG-19", section
    if not system:
        raise ValueError(
            f"frozen.{name}={source!r} is not there, and nothing says how large it is: give the "
            f"config a section {name!r}"
        )
    like, trained = _first_run(config, system, part)
    section = dict(trained[part])
    if MODULE not in section:
        hint = module_hints(recipe_module(system).Recipe)[part]
        section[MODULE] = f"{hint.__module__}:{hint.__qualname__}"
    if name == "generator":
        section |= {k: config.net[k] for k in _SHARED}
    width = _width(config.encoder.fields)
    if config.encoder.source == networks.RANDOM and "embedding" in section and width:
        section["embedding"] = width
    return like, section


def _first_run(config: ConfigDict, system: str, part: str = "text") -> tuple[str, ConfigDict]:
    """(name, config) of what would train `part` on the data of a config."""
    argument = first_runs.argument(config, system)
    if (system, part) == ("damsm", "image") and argument in _ON_INCEPTION:
        argument += "_inception"
    return f"{system}:{argument}", configs.load(f"{system}:{argument}")


def _width(fields: Mapping[str, Any]) -> int | None:
    """Of a text encoder's vectors, where its fields tell."""
    return fields.get("embedding", fields.get("width"))


def _replace_pieces(config: ConfigDict, folder: pathlib.Path, notes: list[str]) -> None:
    """BERT's vocabulary, where it is neither beside the encoder nor where the config says."""
    section = config.tokenizer
    if section.name != "wordpiece":
        return
    path = section.get("path", "")
    if paths.exists(paths.path(path)) if path else config.encoder.source != networks.RANDOM:
        return
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces += [f"piece{i}" for i in range(_PIECES - len(pieces))]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    section.path = str(folder / "vocab.txt")
    notes.append(f"no {path or 'vocabulary of word pieces'}: {_PIECES:,} made-up pieces")
