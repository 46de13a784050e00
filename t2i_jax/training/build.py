"""From a config to the objects it describes: recipe, encoder, tokenizer, frozen networks, options.

This is where a ConfigDict meets typed dataclasses: nothing below sees one.
"""

import contextlib
import dataclasses
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from t2i_jax import keys, paths
from t2i_jax.choices import check_choice
from t2i_jax.config import Duration, suggest
from t2i_jax.data import tokenizers
from t2i_jax.data.options import DataOptions
from t2i_jax.recipes.base import Recipe
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import first_runs, networks, recomputed, runs
from t2i_jax.training.fresh import Fresh
from t2i_jax.training.inputs import encode, with_float_images
from t2i_jax.training.modules import (
    DTYPES,
    MODULE,
    check_fields,
    class_name,
    construct,
    encoder_class,
    fields_of,
    loss_weights,
    make_recipe,
    module_hints,
    recipe_module,
)
from t2i_jax.training.networks import Network
from t2i_jax.training.optimizers import make_direction, make_schedule
from t2i_jax.training.state import Ema
from t2i_jax.training.step import ORDERS, StepOptions
from t2i_jax.types import MASK, TOKENS

Captions = Callable[[], Iterable[list[str]]]  # of every image of the training split
Draw = Callable[..., Any]  # (function, *args) -> what the function makes of the args


def drawn(function: Callable, *args: Any) -> Any:
    """What a function makes of its arguments, as NumPy arrays."""
    return Fresh(function, *args).values()


@dataclasses.dataclass
class System:
    """Everything that a config describes, built.

    frozen: networks that are not trained, by name: those of ``config.frozen``, and the text
        encoder as ``"encoder"``, or as ``"encoder_start"`` where a training with it begins.
    untrained: names in ``config.frozen`` whose weights are random; `complete` draws them.
    notes: what the user should know, in words.
    draw: how random weights are drawn; `jax.eval_shape` gives their shapes alone.
    """

    config: ConfigDict
    recipe: Recipe
    encoder: nn.Module | None
    tokenizer: tokenizers.Tokenizer | None
    frozen: dict[str, Network]
    untrained: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    draw: Draw = drawn

    @property
    def joint(self) -> bool:
        """Whether the text encoder is trained with the generator."""
        return self.encoder is not None and self.config.encoder.train == "joint"

    def complete(self, batch: Mapping[str, Any]) -> None:
        """Draws the weights of untrained frozen networks; `batch` is an example of the data."""
        variables, batch = self.variables, with_float_images(batch)
        for name in self.untrained:
            key = jax.random.fold_in(keys.from_seed(self.config.seed), zlib.crc32(name.encode()))

            def draw(key, variables, batch, name=name):
                encoder = variables.get(networks.TEXT_ENCODER)
                if self.joint:  # it has no weights yet; the text gives shapes alone
                    encoder = self.encoder.init(key, batch[TOKENS][:, 0], batch[MASK][:, 0])
                text = encode(self.encoder, encoder, batch)
                return self.recipe.init_frozen(name, key, Seen(batch, text, None, variables))

            made = self.draw(draw, key, variables, batch)
            self.frozen[name] = Network(getattr(self.recipe, name), made)
        self.untrained = ()

    @property
    def variables(self) -> dict[str, Any]:
        """Variables of the frozen networks by name."""
        return {name: network.variables for name, network in self.frozen.items()}

    def in_step(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Those of `variables` that a step uses: not what a training only started from."""
        starts = ("encoder_start", *self.recipe.starting_points)
        return {name: x for name, x in variables.items() if name not in starts}


def build(
    config: ConfigDict,
    workdir: paths.Path | None = None,
    captions: Captions | None = None,
    given: Collection[str] = (),
    draw: Draw = drawn,
) -> System:
    """Builds what the config describes. Sections of networks that come from elsewhere, and the
    vocabulary's size, are resolved in place.

    workdir: of a run that is resumed: networks and tokenizer that it has kept are taken from it.
    captions: gives the training split's captions, for a vocabulary that is made from them.
    given: fields that the user has set. Those of the tokenizer change one that comes with the
        encoder, apart from its vocabulary.
    draw: see `System`.

    Raises ValueError for unknown names and values, FileNotFoundError for missing sources.
    """
    if config.dtype not in DTYPES:
        raise ValueError(f"dtype={config.dtype!r}{suggest(config.dtype, DTYPES)}")
    cls, notes = recipe_module(config.system).Recipe, []
    frozen: dict[str, Network] = {}
    untrained = []
    for name, source in config.frozen.items():
        if not source:  # left out
            continue
        part, kind = networks.frozen_kind(cls, name)
        with _telling_what_to_do(config, name):
            network = _take(f"frozen.{name}", name, source, part, kind, workdir, notes)
        if network is None:
            untrained.append(name)
            continue
        module = _in_dtype(network.module, config.dtype)
        frozen[name] = dataclasses.replace(network, module=module)
        _describe(config, name, module)
    encoder, tokenizer = _text(config, workdir, captions, given, frozen, notes, draw)
    _size_vocabulary(config, cls, tokenizer)
    recipe = make_recipe(config, {k: v.module for k, v in frozen.items() if k in config.frozen})
    for name in untrained:  # as when the run, which keeps it, is resumed
        _describe(config, name, getattr(recipe, name))
    return System(config, recipe, encoder, tokenizer, frozen, tuple(untrained), tuple(notes), draw)


def restore(config: ConfigDict, workdir: str | os.PathLike) -> System:
    """What a run is sampled and evaluated with, read from the run alone: of its frozen networks
    only the text encoder has its weights.
    """
    encoder, tokenizer, frozen = None, None, {}
    if config.encoder.name:
        encoder = networks.joint_encoder(config)
        tokenizer = runs.read_tokenizer(workdir)
        if config.encoder.train == "frozen":
            variables = networks.load_variables(workdir, networks.TEXT_ENCODER)
            frozen[networks.TEXT_ENCODER] = Network(encoder, variables, tokenizer)
    recipe = make_recipe(config, networks.kept_modules(workdir, config))
    if recipe.reads == "tokens":
        tokenizer = runs.read_tokenizer(workdir)
    return System(config, recipe, encoder, tokenizer, frozen)


def _take(
    field: str,
    name: str,
    source: str,
    part: str,
    kind: type[nn.Module],
    workdir: paths.Path | None,
    notes: list[str],
    told: Mapping[str, Any] | None = None,
) -> Network | None:
    """The network that the run in `workdir` has kept, else the source's; None for a random one."""
    kept = None
    if workdir is not None and paths.exists(networks.path_of(workdir, name)):
        kept = networks.load(workdir, name)
    if source == networks.RANDOM or (kept is not None and not networks.exists(source)):
        return kept
    network = networks.resolve(field, source, part, kind, told)
    if kept is None:
        return network
    if networks.digest(kept) != networks.digest(network):
        notes.append(
            f"{field}={source!r} has changed since this run began; going on with the network that "
            f"the run has kept in {networks.path_of(workdir, name)}"
        )
    return kept


@contextlib.contextmanager
def _telling_what_to_do(config: ConfigDict, name: str) -> Iterator[None]:
    """To the message that the source of a network is not there."""
    try:
        yield
    except networks.NoSource as error:
        raise networks.NoSource(f"{error}{first_runs.remedy(config, name)}") from None


def _describe(config: ConfigDict, name: str, module: nn.Module) -> None:
    """Makes the section of a frozen network, where there is one, say what the network is: samples
    may need it without its source.
    """
    if name in config:
        config[name] = {MODULE: class_name(module), **fields_of(module)}


def _in_dtype(module: nn.Module, dtype: str) -> nn.Module:
    return module.clone(dtype=DTYPES[dtype]) if hasattr(module, "dtype") else module


def _text(
    config: ConfigDict,
    workdir: paths.Path | None,
    captions: Captions | None,
    given: Collection[str],
    frozen: dict[str, Network],
    notes: list[str],
    draw: Draw,
) -> tuple[nn.Module | None, tokenizers.Tokenizer | None]:
    """The text encoder and the tokenizer; the encoder's weights, if any, are put into `frozen`."""
    section = config.encoder
    if not section.name:
        return None, _tokenizer(config, workdir, None, captions, given)
    check_choice("encoder.train", section.train, ("frozen", "joint"))
    if not section.source and section.train == "frozen":
        raise ValueError(
            "encoder.source is empty: a frozen encoder needs the directory of an encoder's run, "
            "a weights file, or 'random' for an untrained one"
        )
    cls = encoder_class(section.name)
    name = networks.TEXT_ENCODER if section.train == "frozen" else "encoder_start"
    source = section.source or networks.RANDOM
    with _telling_what_to_do(config, networks.TEXT_ENCODER):
        network = _take("encoder.source", name, source, "text", cls, workdir, notes, section.fields)
    tokenizer = _tokenizer(config, workdir, network, captions, given)
    if tokenizer is None:
        raise ValueError(
            f"tokenizer.name is empty, but encoder.name={section.name!r} reads captions"
        )
    if network is not None:
        section.fields = fields_of(network.module)
        _check_vocabulary("encoder.source", network.module, tokenizer)
    elif "vocab_size" in {f.name for f in dataclasses.fields(cls)}:
        section.fields.vocab_size = tokenizer.vocab_size
    module = construct(cls, section.fields, "encoder.fields", config.dtype)
    if network is None and section.train == "frozen":
        tokens = jnp.zeros((1, tokenizer.length), jnp.int32)
        mask = jnp.ones_like(tokens, bool)
        network = Network(module, draw(module.init, keys.from_seed(config.seed), tokens, mask))
    if network is not None:
        frozen[name] = dataclasses.replace(network, module=module)
    return module, tokenizer


def _tokenizer(
    config: ConfigDict,
    workdir: paths.Path | None,
    network: Network | None,
    captions: Captions | None,
    given: Collection[str] = (),
) -> tokenizers.Tokenizer | None:
    """The run's own, else the one that comes with the encoder, with the fields that the user has
    given, else a new one; a new vocabulary of words is that of the training split's captions.
    """
    if not config.tokenizer.name:
        return None
    if workdir is not None and runs.has_tokenizer(workdir):
        return runs.read_tokenizer(workdir)
    if network is not None and network.tokenizer is not None:
        changes = {k: v for k, v in config.tokenizer.items() if f"tokenizer.{k}" in given}
        return tokenizers.from_json(tokenizers.changed(network.tokenizer.to_json(), changes))
    fields = config.tokenizer.to_dict()
    name = fields.pop("name")
    if name == "wordpiece" and not fields.get("path"):
        fields["path"] = _vocabulary(config)
    elif name == "word" and not fields.get("words") and not fields.get("captions_pickle"):
        if captions is None:
            raise ValueError(
                "tokenizer.name='word' takes its vocabulary from the prepared captions: prepare "
                "the data set first, or give tokenizer.captions_pickle"
            )
        fields["images"] = captions()
    return tokenizers.from_config(name, **fields)


def _vocabulary(config: ConfigDict) -> str:
    """The folder of the encoder's source, where a BERT's vocabulary lies beside its weights."""
    source = config.encoder.source
    if config.encoder.name and source not in ("", networks.RANDOM):
        path, _, found = networks.locate("encoder.source", source, "text")
        if found == "file" and paths.path(path).is_dir():
            return path
    raise ValueError(
        "tokenizer.path is empty: name BERT's tokenizer.json or vocab.txt (encoder.source="
        f"{source!r} is no folder that has one)"
    )


def _size_vocabulary(
    config: ConfigDict, cls: type[Recipe], tokenizer: tokenizers.Tokenizer | None
) -> None:
    """Gives networks that are trained from scratch on tokens the vocabulary's size."""
    for name, hint in module_hints(cls).items():
        sized = "vocab_size" in getattr(hint, "__dataclass_fields__", {})
        if sized and name in config and tokenizer is not None:
            config[name].vocab_size = tokenizer.vocab_size


def _check_vocabulary(field: str, module: nn.Module, tokenizer: tokenizers.Tokenizer) -> None:
    size = getattr(module, "vocab_size", tokenizer.vocab_size)
    spare = tokenizer.name == "wordpiece"  # many a BERT's table has more rows than there are pieces
    if size < tokenizer.vocab_size or (size > tokenizer.vocab_size and not spare):
        raise ValueError(
            f"{field}: the encoder has {size:,} words, but the tokenizer's vocabulary "
            f"{tokenizer.vocab_size:,}: give the vocabulary that the encoder was trained with "
            "(tokenizer.captions_pickle=captions.pickle, for one of AttnGAN's)"
        )


def data_options(config: ConfigDict) -> DataOptions:
    """``config.data`` as typed options."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in config.data.items()}
    fields.setdefault("seed", config.seed)
    check_fields(DataOptions, fields, "data")
    return DataOptions(**fields)


def step_options(system: System, batch: int, records: int) -> StepOptions:
    """What the step needs, for global batches of `batch` images from `records`."""
    config, recipe = system.config, system.recipe
    wanted = {player for player in config.optim}
    if wanted != set(recipe.players):
        raise ValueError(
            f"optim has the sections {sorted(wanted)}, but {config.system!r} trains the players "
            f"{sorted(recipe.players)}"
        )
    check_choice("order", config.order, ORDERS)
    check_choice("remat", config.remat, recomputed.FORMS)
    if config.ema.restart_every and "g" not in recipe.players:
        raise ValueError(
            f"ema.restart_every={config.ema.restart_every} is for generators, but "
            f"{config.system!r} trains none"
        )
    images = batch * config.d_steps
    updates = dict.fromkeys(recipe.players, 1)
    if "d" in updates:
        updates["d"] = config.d_steps * len(recipe.d_updates)
    return StepOptions(
        weights=loss_weights(config),
        directions={
            p: make_direction(config.optim[p], images, records, n) for p, n in updates.items()
        },
        schedules={p: make_schedule(config.optim[p], images, records) for p in recipe.players},
        groups={p: dict(config.optim[p].get("groups", {})) for p in recipe.players},
        encoder=system.encoder,
        joint=system.joint,
        order=config.order,
        d_steps=config.d_steps,
        remat=config.remat,
        ema=Ema(
            decay=ema_decay(config, images, records),
            ramp=config.ema.get("ramp", 0.0),
            statistics=config.ema.get("statistics", "averaged"),
            restart_every=config.ema.restart_every,
            kept=getattr(recipe, "kept", ()),
        ),
        seed=config.seed,
    )


def ema_decay(config: ConfigDict, images_per_step: int, records: int) -> float:
    """Per-step decay of the average; 0 without one. ValueError where both forms are given."""
    half_life, decay = config.ema.half_life, config.ema.decay
    if half_life and decay:
        raise ValueError("give ema.half_life or ema.decay, not both")
    if not half_life:
        return float(decay)
    steps = Duration.parse(half_life).steps(images_per_step, records)
    return 0.5 ** (1.0 / max(steps, 1))
