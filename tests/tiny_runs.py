"""Run directories with random networks, made without training: what a sampler reads."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.data import tokenizers
from t2i_jax.drawing import drawer
from t2i_jax.encoders.char_cnn_rnn import TextEncoder
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import build, fields, modules, networks, runs
from t2i_jax.training.checkpoints import Checkpoints
from t2i_jax.training.inputs import encode, with_float_images

ROOT = pathlib.Path(__file__).resolve().parent.parent


def random_like(function, *args, seed: int = 0):
    """Values for the variables that an init function would make; nothing is compiled.

    Sized so that images have contrast and few values are saturated.
    """
    rng = np.random.default_rng(seed)

    def leaf(path, shape):
        values = rng.normal(0, 0.2, shape.shape)
        if path[-1].key in ("scale", "var"):
            values = 1 + 0.2 * np.abs(values)
        return jnp.asarray(values, shape.dtype)

    return jax.tree_util.tree_map_with_path(leaf, jax.eval_shape(function, *args))


def debug_config(*overrides: str, system: str = "gan_int_cls"):
    """``configs/<system>.py:debug``, whose data and encoder are nowhere."""
    config = configs.load(f"{ROOT / 'configs' / system}.py:debug")
    configs.override(config, ["data.data_dir=nowhere", "encoder.source=nowhere", *overrides])
    return config


def gan_run(
    workdir: pathlib.Path, *overrides: str, steps=(1, 2), system: str = "gan_int_cls"
) -> pathlib.Path:
    """A run of a GAN with text that has been saved at `steps`, with other weights at each."""
    config = debug_config(*overrides, system=system)
    recipe = modules.make_recipe(config)
    encoder = modules.construct(TextEncoder, config.encoder.fields, "encoder.fields")
    tokenizer = tokenizers.from_config("char")
    tokens = jnp.zeros((1, tokenizer.length), jnp.int32)
    key = jax.random.key(0)
    encoder_vars = random_like(encoder.init, key, tokens, tokens > 0)
    size, width = config.data.size, config.encoder.fields.embedding
    seen = Seen({types.IMAGES: jnp.zeros((1, size, size, 3))}, types.Text(jnp.zeros((1, width))))
    workdir.mkdir(parents=True)
    runs.write_config(workdir, config)
    runs.write_tokenizer(workdir, tokenizer)
    joint = config.encoder.train == "joint"
    if not joint:
        networks.save(workdir, "encoder", networks.Network(encoder, encoder_vars))
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        for step in steps:
            players = random_like(recipe.init, key, seen, seed=step)
            save(checkpoints, step, config, players, encoder_vars if joint else None)
    return workdir


def style_run(workdir: pathlib.Path, *overrides: str) -> pathlib.Path:
    """A run of the style encoder that fits `gan_run`."""
    config = configs.load(f"{ROOT / 'configs' / 'style_encoder.py'}:toy_birds")
    tiny = ["net.image_size=32", "net.channels=4", "net.noise_dim=4", "frozen.generator=nowhere"]
    configs.override(config, [*tiny, *overrides])
    net = modules.make_recipe(config, {"generator": None}).net
    images = jnp.zeros((1, net.image_size, net.image_size, 3))
    variables = random_like(lambda key: net.init(key, images, train=False), jax.random.key(0))
    workdir.mkdir(parents=True)
    runs.write_config(workdir, config)
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        save(checkpoints, 1, config, {"net": variables})
    return workdir


def save(checkpoints, step: int, config, players, encoder_vars=None) -> None:
    """Saves the players' variables as the averages of a step."""
    ema = {
        "params": {name: v["params"] for name, v in players.items()},
        "stats": {name: {"batch_stats": v["batch_stats"]} for name, v in players.items()},
    }
    if encoder_vars is not None:
        ema["params"]["encoder"] = encoder_vars["params"]
    train = {"step": np.int32(step)}
    checkpoints.save(step, ema=ema, train=train, data={}, config=config.to_dict())


def any_run(workdir: pathlib.Path, *overrides: str, system: str, arg: str = "debug"):
    """A run of any GAN, saved at step 1, of ``configs/<system>.py:<arg>``; all its networks are
    random, those too that it does not train.
    """
    config = configs.load(f"{ROOT / 'configs' / system}.py:{arg}")
    if config.encoder.name:
        config.encoder.source = networks.RANDOM
    config.frozen = dict.fromkeys(config.frozen, networks.RANDOM)
    configs.override(fields.complete(config), overrides)
    if config.tokenizer.name == "word":
        config.tokenizer.words = tuple("<end> a small red blue bird with black wings".split())
    built = build.build(config)
    batch = {types.IMAGES: jnp.zeros((2, config.data.size, config.data.size, 3), jnp.uint8)}
    if built.tokenizer is not None:
        batch |= drawer.text_inputs(built.tokenizer, ["a small red bird", "a blue bird"])
    key = jax.random.key(0)

    def init(key):
        encoder = built.variables.get("encoder")
        text = encode(built.encoder, encoder, batch) if built.encoder is not None else None
        drawn = {
            name: built.recipe.init_frozen(name, key, Seen(batch, text, None, built.variables))
            for name in built.untrained
        }
        seen = Seen(with_float_images(batch), text, None, {**built.variables, **drawn})
        return built.recipe.init(key, seen), drawn

    players, frozen = random_like(init, key)
    workdir.mkdir(parents=True)
    if built.tokenizer is not None:
        runs.write_tokenizer(workdir, built.tokenizer)
    for name, network in built.frozen.items():
        networks.save(workdir, name, network)
    for name, variables in frozen.items():
        networks.save(workdir, name, networks.Network(getattr(built.recipe, name), variables))
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        ema = {
            "params": {name: v["params"] for name, v in players.items()},
            "stats": {
                name: {k: x for k, x in v.items() if k != "params"} for name, v in players.items()
            },
        }
        checkpoints.save(1, ema=ema, train={"step": np.int32(1)}, data={}, config=config.to_dict())
    runs.write_config(workdir, config)
    return workdir
