"""A run directory of published weights, as `t2i_jax.commands.import_weights` asks for it."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.arguments import program
from t2i_jax.drawing import drawer
from t2i_jax.recipes.base import GanRecipe, Recipe
from t2i_jax.training import build, fields, modules, networks, ranges, reading, runs
from t2i_jax.training.checkpoints import Checkpoints, check_place
from t2i_jax.training.networks import Network

_STEP = 0  # nothing was trained here


def make(args: argparse.Namespace) -> None:
    """Reads, checks and writes; prints what was imported and how to sample it. Nothing is written
    where something is wrong.
    """
    check_place(args.workdir)
    workdir = paths.path(args.workdir)
    if paths.exists(workdir) and (not workdir.is_dir() or any(workdir.iterdir())):
        raise ValueError(f"--workdir={args.workdir} exists already: choose a new directory")
    cls = modules.recipe_module(args.system).Recipe
    if not issubclass(cls, GanRecipe):
        raise ValueError(
            f"--system={args.system} draws no images; its published files are sources of trainings "
            "as they are (--encoder.source=FILE, --frozen.NAME=FILE)"
        )
    players = {"g": _read(args, "generator")}
    if args.discriminator:
        players["d"] = _read(args, "discriminator")
    config = _config(args, cls, {k: network.module for k, network in players.items()})
    system = _build(args, config)
    kept = {k: v for k, v in players.items() if k in ("g", *system.recipe.kept)}
    ema = _average({k: network.variables for k, network in kept.items()})
    sizes = _sizes(system, ema)
    _write(workdir, system, ema)
    text = {k: v for k, v in system.frozen.items() if k == networks.TEXT_ENCODER}
    for name, network in {**players, **text}.items():
        count = sum(np.size(x) for x in jax.tree.leaves(network.variables["params"]))
        unused = "" if name in {**kept, **text} else "; not kept: no sample shows what it looks at"
        print(f"{name:<8} {modules.class_name(network.module)}, {count:,} parameters{unused}")
    if system.tokenizer is not None:
        read = system.tokenizer
        print(f"captions {read.name}: {read.vocab_size:,} ids, the first {read.length} are read")
    if sizes:
        print(f"images   {', '.join(map(str, sizes))} px")
    print(f"wrote {workdir}; now:\n{_next_command(workdir, system)}")


def _read(args: argparse.Namespace, part: str) -> Network:
    source, name = getattr(args, part), args.system.rpartition(".")[2]
    if not paths.exists(paths.path(source)):
        raise FileNotFoundError(f"--{part}={source}: there is no such file")
    return networks.published(f"--{part}", source, part, name, args.overrides)


def _config(
    args: argparse.Namespace, cls: type[Recipe], players: Mapping[str, nn.Module]
) -> ConfigDict:
    """The run's config, complete: what the files tell, overrides, else defaults."""
    config = configs.base()
    config.system = args.system
    config.generator = modules.fields_of(players["g"])
    if "d" in players:
        config.discriminator = modules.fields_of(players["d"])
    else:
        config.discriminator = _unknown_discriminator(cls, players["g"])
    # What samples need of other networks stands in the generator's file.
    needed = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
    config.frozen = {name: args.generator for name in cls.frozen_parts if name in needed}
    sides = getattr(players["g"], "image_sizes", None) or (players["g"].image_size,)
    config.data.size = max(sides)
    config.tokenizer.name = ""
    if args.text_encoder:
        _describe_text(args, config)
    else:
        config.data.text = "embeddings"
    configs.override(fields.complete(config), args.overrides)
    ranges.check(configs.flatten(config))
    return config


def _unknown_discriminator(cls: type[Recipe], generator: nn.Module) -> dict[str, Any]:
    """A section for a discriminator that was not published: its class's defaults, for images of the
    generator's size.
    """
    known = {f.name for f in dataclasses.fields(modules.module_hints(cls)["discriminator"])}
    return {"image_size": generator.image_size} if "image_size" in known else {}


def _describe_text(args: argparse.Namespace, config: ConfigDict) -> None:
    source = args.text_encoder
    path, _, kind = networks.locate("--text_encoder", source, "text")
    folder = kind == "file" and paths.path(path).is_dir()  # as Hugging Face keeps a BERT
    usual = "bert" if folder else "char_cnn_rnn" if source.endswith(".t7") else "damsm"
    name = args.encoder or usual
    config.encoder.update({"name": name, "source": source})
    cls = modules.encoder_class(name)
    of_words = "vocab_size" in {f.name for f in dataclasses.fields(cls)}
    tokenizer = getattr(cls, "tokenizer", "word" if of_words else "char")
    if tokenizer != "word":
        if args.captions:
            raise ValueError(
                f"--captions is for encoders of words, but {name!r} is read by the tokenizer "
                f"{tokenizer!r}"
            )
        config.tokenizer = {"name": tokenizer}
        return
    if kind == "file" and not args.captions:
        raise ValueError(
            f"--text_encoder={source} reads numbers of words: give --captions=captions.pickle, the "
            "dictionary that was published with it (one that is made anew numbers them otherwise)"
        )
    config.tokenizer = {"name": "word", "captions_pickle": args.captions}


def _build(args: argparse.Namespace, config: ConfigDict) -> build.System:
    """The system, whose text is what its generator reads."""
    system = build.build(config, given=configs.parse_overrides(args.overrides))
    if system.recipe.reads == "nothing":
        if args.text_encoder:
            raise ValueError("this generator reads no text: leave out --text_encoder")
        config.data.update({"text": "tokens", "captions": 0})
    elif not args.text_encoder and system.recipe.reads != "sentence":
        raise ValueError(f"{args.system!r} reads {system.recipe.reads}: give --text_encoder")
    reading.check(system, build.data_options(config))
    return system


def _average(players: Mapping[str, Any]) -> dict[str, dict]:
    """The players' variables as a checkpoint keeps the networks that samples are drawn from."""
    return {
        "params": {name: variables["params"] for name, variables in players.items()},
        "stats": {
            name: {k: tree for k, tree in variables.items() if k != "params"}
            for name, variables in players.items()
        },
    }


def _sizes(system: build.System, ema: Mapping[str, Any]) -> tuple[int, ...]:
    """Widths of the images that the run would draw, low to high; draws none. () where it is drawn
    from stored embeddings, whose size no file tells.

    Raises ValueError where its networks do not fit each other.
    """
    if system.encoder is None and system.recipe.reads != "nothing":
        return ()
    drawn, text = drawer.Drawer(system.recipe, system.encoder, batch_size=1), None
    try:
        if system.encoder is not None:
            inputs = drawer.text_inputs(system.tokenizer, ["a bird"])
            text = drawn.text(ema, system.variables[networks.TEXT_ENCODER], inputs)
        return drawn.scales(ema, text, drawn.noise(drawer.image_keys(0, [0])))
    except (flax.errors.FlaxError, TypeError, ValueError) as error:
        raise ValueError(
            f"the generator does not fit the text encoder, or what was set of it: {error}"
        ) from error


def _write(workdir: paths.Path, system: build.System, ema: Mapping[str, Any]) -> None:
    """The run directory; its config comes last, so that half of one is no run."""
    paths.folder(workdir)
    if system.tokenizer is not None:
        runs.write_tokenizer(workdir, system.tokenizer)
    for name, network in system.frozen.items():
        networks.save(workdir, name, network)
    config = system.config
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        train = {"step": np.int32(_STEP)}
        checkpoints.save(_STEP, ema=ema, train=train, data={}, config=config.to_dict())
    runs.write_config(workdir, config)


def _next_command(workdir: paths.Path, system: build.System) -> str:
    """How the run is sampled."""
    if system.encoder is not None:
        caption = ' --caption "a small red bird with black wings"'
    elif system.recipe.reads == "nothing":
        caption = ""
    else:
        return f"t2i_jax.Sampler.from_workdir({str(workdir)!r}).sample(embeddings)  # in Python"
    return f"{program('sample')} --workdir={workdir}{caption} --out=samples"
