"""Samplers of every system at debug size with random networks, made without a run."""

import jax
import jax.numpy as jnp
from tiny_runs import ROOT, random_like

from t2i_jax import Sampler, types
from t2i_jax import config as configs
from t2i_jax.data import tokenizers
from t2i_jax.encoders import bert
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import build, modules, networks

SYSTEMS = (
    "gan_int_cls",
    "stack_gan_v1",
    "stack_gan_v1_stage2",
    "stack_gan_v2",
    "attn_gan",
    "dm_gan",
    "dr_gan",
    "df_gan",
    "rat_gan",
    "xmc_gan",
)
SATURATED = ("stack_gan_v1", "stack_gan_v1_stage2", "xmc_gan")  # by random weights: see `_calm`
WORDS = "<end> a small red bird with black wings it s the bill_1".split()
PIECES = "[PAD] [UNK] [CLS] [SEP] a small red bird with black wing ##s it ' s".split()


def tokenizer(name: str, folder) -> tokenizers.Tokenizer:
    """A tokenizer with a vocabulary of few words; WordPiece's passes through `folder`."""
    if name == "char":
        return tokenizers.from_config("char")
    if name == "word":
        return tokenizers.WordTokenizer(WORDS, length=7)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return tokenizers.WordPieceTokenizer.from_file(str(folder / "vocab.txt"), length=8)


def sampler(system: str, folder, arg: str = "debug", pieces: bool = False, text=True) -> Sampler:
    """pieces: read by a small BERT in place of the config's encoder. text: False for stored
    sentence vectors in place of captions.
    """
    config = configs.load(f"{ROOT / 'configs' / system}.py:{arg}")
    made = {name: None for name in config.frozen if name not in config}
    recipe = modules.make_recipe(config, made)
    encoder = reads = None
    frozen = {}
    if pieces:
        reads = tokenizer("wordpiece", folder)
        encoder = bert.TextEncoder(reads.vocab_size, 12, 1, 2, 8, positions=8)
    elif config.encoder.name and text:
        cls = modules.encoder_class(config.encoder.name)
        reads = tokenizer(cls.tokenizer, folder)
        encoder = modules.construct(cls, config.encoder.fields, "encoder.fields")
        if hasattr(encoder, "vocab_size"):
            encoder = encoder.clone(vocab_size=reads.vocab_size)
    elif config.encoder.name:
        config.data.text = "embeddings"
    encoded = None
    if encoder is not None:
        ids = jnp.ones((1, reads.length), jnp.int32)
        variables = random_like(encoder.init, jax.random.key(0), ids, ids > 0)
        frozen["encoder"] = networks.Network(encoder, variables)
        shapes = jax.eval_shape(encoder.apply, variables, ids, ids > 0)
        encoded = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    elif not text:
        encoded = types.Text(jnp.zeros((1, config.encoder.fields.embedding)))
    seen = Seen({types.IMAGES: jnp.zeros((1, *[config.data.size] * 2, 3))}, encoded)
    if "stage1" in config.frozen:
        stage1 = random_like(lambda key: recipe.init_frozen("stage1", key, seen), jax.random.key(1))
        seen = seen._replace(frozen={"stage1": stage1})
    players = random_like(recipe.init, jax.random.key(2), seen)
    g = _calm(players["g"]) if system in SATURATED else players["g"]
    kept = {
        "params": {"g": g["params"]},
        "stats": {"g": {name: tree for name, tree in g.items() if name != "params"}},
    }
    return Sampler(build.System(config, recipe, encoder, reads, frozen), kept)


def _calm(variables):
    """Half of all kernels, of a network that would else make large differences of rounding."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: x / 2 if path[-1].key == "kernel" else x, variables
    )


def painter(sampler: Sampler):
    """A compiled function of inputs (tokens and mask, or a sentence, or nothing) and noise: what
    the recipe draws, float32 in [-1, 1], by nothing of the exporting code.
    """
    system, g = sampler.system, sampler.networks
    variables = {"params": g["params"]["g"], **g["stats"]["g"]}

    @jax.jit
    def draw(inputs: dict, noise: dict) -> tuple:
        text = types.Text(inputs["sentence"]) if "sentence" in inputs else None
        if "tokens" in inputs:
            encoder = system.variables["encoder"]
            text = system.encoder.apply(encoder, inputs["tokens"], inputs["mask"])
        out, _ = system.recipe.generate(variables, Seen({}, text), noise, train=False)
        return out["images"]

    return draw
