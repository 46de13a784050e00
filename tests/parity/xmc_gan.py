"""XMC-GAN in the authors' form, against their Flax modules, losses and a step of their trainer."""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from parity._compare import close, section
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.encoders.resnet_50 import ResNet50
from t2i_jax.interop.image_network import import_resnet_50
from t2i_jax.interop.xmc_gan import (
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)
from t2i_jax.losses.adversarial import hinge_fake, hinge_generator, hinge_real
from t2i_jax.losses.contrastive import both_ways, cosine_scores, nt_xent, word_scores
from t2i_jax.models.layers import normalized
from t2i_jax.models.modulation import cosine_attention
from t2i_jax.recipes.xmc_gan import Recipe
from t2i_jax.training import build
from t2i_jax.training.modules import loss_weights
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import make_step
from t2i_jax.types import Text

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "xmc_gan.py"
VALUES, GRADIENTS = 2e-4, 1e-3


def _text(golden, batch="in0"):
    words = golden[f"{batch}/embedding"]
    mask = np.arange(words.shape[1]) < golden[f"{batch}/max_len"]
    return Text(golden[f"{batch}/sentence_embedding"], words, mask)


def _generator(golden):
    return import_generator(section(golden, "g_params/"), section(golden, "g_batch_stats/"))


def _discriminator(golden):
    stats = section(golden, "d_sn/")
    return import_discriminator(section(golden, "d_params/"), stats)


def _all_close(actual, expected, what, tolerance=VALUES):
    for name, array in expected.items():
        close(actual[name], array, f"{what} {name}", tolerance)


def generator(golden):
    """Both modes, what the running statistics become, and the maps on the way."""
    module, variables = _generator(golden)
    assert (module.channels, module.image_size, module.noise_dim) == (8, 128, 16)
    noise, text = {"z": golden["in0/z"]}, _text(golden)
    shown = ("sentence", "first", "block0", "block1", "query")

    @jax.jit
    def run(variables):
        trained, moved = module.apply(
            variables,
            noise,
            *text,
            train=True,
            mutable=["batch_stats", "intermediates"],
            capture_intermediates=lambda layer, _: layer.name in shown,
        )
        return trained, moved, module.apply(variables, noise, *text, train=False)

    trained, moved, evaluated = run(variables)
    close((trained.images[0] + 1) / 2, golden["gen/train/image"], "image in training", VALUES)
    close((evaluated.images[0] + 1) / 2, golden["gen/eval/image"], "image", VALUES)
    stats = export_generator(module, {"batch_stats": moved["batch_stats"]})["batch_stats"]
    _all_close(stats, section(golden, "gen/train/batch_stats/"), "statistics")
    found = {name: x["__call__"][0] for name, x in moved["intermediates"].items()}
    close(found["sentence"], golden["gen/mid/sentence_proj"], "sentence", VALUES)
    close(found["first"], golden["gen/mid/first_dense"], "first map", VALUES)
    close(found["block0"][0], golden["gen/mid/block0"], "first block", VALUES)
    close(found["block1"][0], golden["gen/mid/block1"], "second block", VALUES)
    close(found["query"].reshape(2, 256, -1), golden["gen/mid/query"], "query", VALUES)
    attention = np.asarray(trained.attention[0]).reshape(2, 256, -1)
    close(attention, golden["gen/mid/attention"], "attention", VALUES)
    contexts = attention @ np.asarray(normalized(text.words))
    close(contexts, golden["gen/mid/region_context"], "contexts", VALUES)


def discriminator(golden):
    """Logits, features and singular vectors of two passes; an evaluation gives the first's."""
    module, variables = _discriminator(golden)
    assert (module.channels, module.image_size) == (4, 128)
    images = np.concatenate([golden["in0/image"], golden["gen/train/image"]]) * 2 - 1
    text = _text(golden)
    sentence = np.concatenate([text.sentence] * 2)

    @jax.jit
    def run(variables):
        def call(variables, train):
            return module.apply(
                variables,
                images,
                sentence,
                text.words.shape[-1],
                train=train,
                mutable=["spectral", "intermediates"] if train else [],
                capture_intermediates=lambda layer, _: layer.name in ("block0", "block2"),
            )

        first, moved = call(variables, True)
        maps = moved.pop("intermediates")
        second, _ = call({**variables, **moved}, True)
        evaluated = call(variables, False)[0]
        return first, moved, maps, second[0], evaluated[0]

    (logits, encoded), moved, maps, second, evaluated = run(variables)
    for found, name in ((logits, "train"), (second, "second"), (evaluated, "eval")):
        close(found, golden[f"disc/{name}/logit"][:, 0], f"logits, {name}", VALUES)
    np.testing.assert_array_equal(evaluated, logits)
    vectors = export_discriminator(module, moved)["spectral"]
    _all_close(vectors, section(golden, "disc/train/sn/"), "singular vector")
    maps = {name: x["__call__"][0] for name, x in maps.items()}
    close(maps["block0"][:, ::8, ::8], golden["disc/mid/first_block"], "first block", VALUES)
    close(maps["block2"], golden["disc/mid/region_source"], "16x16 map", VALUES)
    regions = np.asarray(encoded.regions).reshape(4, 16, 16, -1)[:, ::4, ::4]
    close(regions, golden["disc/mid/region_feat"], "regions", VALUES)
    close(encoded.image, golden["disc/mid/pooled"], "image features", VALUES)
    close(encoded.sentence[:2], golden["disc/mid/sentence_proj"], "sentence features", VALUES)
    _check_contrasts(golden, encoded, text)


def _check_contrasts(golden, encoded, text):
    """Losses and accuracies of D's features, rows 0 and 1 of real images, 2 and 3 of fake ones."""
    kinds = {"real": slice(0, 2), "fake": slice(2, 4)}
    found = {}
    for kind, rows in kinds.items():
        image, sentence, regions = (x[rows] for x in encoded)
        found[f"{kind}_sentence"] = _released(cosine_scores, image, sentence, 0.1)
        found[f"{kind}_word"] = _released(word_scores, regions, text, 0.02)
    found["image_contrastive"] = _released(
        cosine_scores, encoded.image[kinds["fake"]], encoded.image[kinds["real"]], 0.1
    )
    for name, contrast in found.items():
        close(contrast.loss, golden[f"disc/train/stat/{name}_loss"], name, VALUES)
        close(contrast.accuracy, golden[f"disc/train/stat/{name}_acc"], name, VALUES)


def _released(score, first, second, temperature):
    return nt_xent(score, first, second, temperature=temperature, directions="both")


def losses(golden):
    """Values and gradients of the pair loss, the word loss and the hinges; attention to words."""
    a, b = golden["loss/a"], golden["loss/b"]
    regions, words = golden["loss/regions"], golden["loss/words"]
    text = Text(None, words, np.arange(words.shape[1]) < golden["loss/max_len"])

    @jax.jit
    def run(a, regions):
        pair = jax.value_and_grad(
            lambda a: tuple(_released(cosine_scores, a, b, 0.1)), has_aux=True
        )
        word = jax.value_and_grad(
            lambda r: tuple(_released(word_scores, r, text, 0.02)), has_aux=True
        )
        scores = both_ways(cosine_scores, a, b, None)[0], word_scores(regions, text)
        attention = cosine_attention(regions[:, None], words, text.mask, 15.0)[:, 0]
        return pair(a), word(regions), scores, attention

    (pair, pair_grad), (word, word_grad), scores, attention = run(a, regions)
    close(np.asarray(pair), golden["loss/contrastive"][:2], "pair loss", VALUES)
    close(np.asarray(word), golden["loss/word"][:2], "word loss", VALUES)
    close(pair_grad, golden["loss/contrastive_grad_a"], "gradient in a", GRADIENTS)
    close(word_grad, golden["loss/word_grad_regions"], "gradient in regions", GRADIENTS)
    close(scores[0] / 0.1, golden["loss/contrastive_logits"], "pair logits", VALUES)
    close(scores[1] / 0.02, golden["loss/word_logits_image_rows"], "word logits", VALUES)
    close(attention, golden["loss/g_attention"], "attention", VALUES)
    contexts = attention @ normalized(words)
    close(contexts, golden["loss/g_context"], "contexts", VALUES)
    real, fake = golden["loss/real_logit"], golden["loss/fake_logit"]
    close(jnp.mean(hinge_real(real) + hinge_fake(fake)), golden["loss/hinge_d"], "D's hinge")
    close(jnp.mean(hinge_generator(fake)), golden["loss/hinge_g"], "G's hinge")


def _drawn(golden):
    """The weights of the file's image network, which are drawn from its seed."""
    like = jax.eval_shape(
        lambda: ResNet50().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False)
    )
    random = np.random.RandomState(golden["resnet/seed"])

    def draw(name, shape):
        layer, _, leaf = name.rpartition("/")
        if leaf == "var":
            return 1 + 0.2 * random.uniform(size=shape)
        x = random.standard_normal(shape)
        if leaf == "kernel":
            return x * np.sqrt(2 / np.prod(shape[:-1]))
        if leaf == "scale":
            return (1 + 0.1 * x) * (0.3 if layer.endswith("bn3") else 1)
        return 0.1 * x

    found = {}
    for collection in ("params", "batch_stats"):
        flat = sorted(flatten_dict(like[collection], sep="/").items())
        tree = {name: np.float32(draw(name, x.shape)) for name, x in flat}
        found[collection] = unflatten_dict(tree, sep="/")
    return found


def image_network(golden):
    """The frozen ResNet-50 of the release, and the loss by it."""
    module, variables = import_resnet_50(_drawn(golden))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == 25_557_032
    images = np.concatenate([golden["in0/image"], golden["gen/train/image"]]) * 2 - 1
    run = jax.jit(lambda v, x: module.apply(v, x, train=False, mutable=["intermediates"]))
    logits, seen = run(variables, images)
    pooled = seen["intermediates"]["pooled"][0]
    close(logits[:2], golden["resnet/real_logits"], "logits of real images", VALUES)
    close(logits[2:], golden["resnet/fake_logits"], "logits of fake images", VALUES)
    close(pooled[:2, ::16], golden["resnet/real_pool_mean"], "last map", VALUES)
    loss = _released(cosine_scores, logits[:2], logits[2:], 0.1).loss
    close(loss, golden["resnet/loss"], "loss", VALUES)


class Captions(nn.Module):
    """A text encoder whose captions have their number as the first token."""

    @nn.compact
    def __call__(self, tokens, mask):
        zeros = nn.initializers.zeros
        words = self.param("words", zeros, (4, tokens.shape[1], 32))
        return Text(self.param("sentence", zeros, (4, 32))[tokens[:, 0]], words[tokens[:, 0]], mask)


def _recorded(direction):
    """The direction, and in its state the last two gradients, the earlier first."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return direction.init(params), zeros, zeros

    def update(grads, state, params=None):
        inner, _, last = state
        found, inner = direction.update(grads, inner, params)
        return found, (inner, last, grads)

    return optax.GradientTransformation(init, update)


def step(golden):
    """A step of two updates of D and one of G: losses, all gradients, and every state after it."""
    config = configs.load(f"{CONFIG}:coco_released")
    config.loss.g.image_network = 0.0
    (g_module, g), (d_module, d) = _generator(golden), _discriminator(golden)

    class WithNoise(Recipe):
        """Whose noise stands in the batch."""

        def generate(self, g_vars, seen, noise, train):
            return super().generate(g_vars, seen, {"z": seen.batch["z"]}, train)

    recipe = WithNoise(
        generator=g_module,
        discriminator=d_module,
        active=frozenset(loss_weights(config)),
        **{**config.recipe, "group": 0},
    )
    texts = [_text(golden, batch) for batch in ("in0", "in1")]
    sentence, words, mask = (np.stack(x) for x in zip(*texts, strict=True))
    tokens = np.zeros((2, 2, 1, words.shape[2]), np.int32)
    tokens[..., 0, 0] = [[0, 1], [2, 3]]
    batch = {
        types.IMAGES: np.stack([golden[f"{b}/image"] for b in ("in0", "in1")]) * 255,
        types.TOKENS: tokens,
        types.MASK: mask[:, :, None],
        "z": np.stack([golden[f"{b}/z"] for b in ("in0", "in1")]),
    }
    table = {"words": words.reshape(4, -1, 32), "sentence": sentence.reshape(4, 32)}
    options = build.step_options(build.System(config, recipe, Captions(), None, {}), 2, 2)
    directions = {name: _recorded(x) for name, x in options.directions.items()}
    options = dataclasses.replace(options, directions=directions)
    params = {"g": g.pop("params"), "d": d.pop("params")}
    stats = {"g": g, "d": d}
    opt = {name: directions[name].init({name: params[name]}) for name in params}
    state = TrainState(np.int32(0), params, stats, opt, options.ema.init(params, stats))
    state, metrics = jax.jit(make_step(recipe, options))(
        state, batch, {"encoder": {"params": table}}
    )

    of_d, of_g = metrics["d/sentence"] + metrics["d/word"], ("sentence", "word", "image")
    close(metrics["d/total"], golden["step/metric/d_loss"], "D's loss", VALUES)
    close(metrics["g/total"], golden["step/metric/g_loss"], "G's loss", GRADIENTS)
    close(of_d, golden["step/metric/c_loss_d"], "D's contrasts", VALUES)
    contrasts = sum(metrics[f"g/{name}"] for name in of_g)
    close(contrasts, golden["step/metric/c_loss_g"], "G's contrasts", VALUES)

    _, first, second = state.opt["d"]
    for grads, when in ((first, "first"), (second, "second")):
        found = export_discriminator(d_module, {"params": grads["d"]})["params"]
        _check_gradients(golden, found, "d", f"d_grad_norm_{when}", f"d_grad_{when}")
    found = export_generator(g_module, {"params": state.opt["g"][2]["g"]})["params"]
    _check_gradients(golden, found, "g", "g_grad_norm", "g_grad")

    d_after = {"params": state.params["d"], **state.stats["d"]}
    g_after = {"params": state.params["g"], **state.stats["g"]}
    d_after, g_after = export_discriminator(d_module, d_after), export_generator(g_module, g_after)
    _all_close(d_after["params"], section(golden, "step/d_params_second/"), "D's")
    _all_close(d_after["spectral"], section(golden, "step/sn/"), "singular vector")
    _all_close(g_after["params"], section(golden, "step/g_params/"), "G's")
    _all_close(g_after["batch_stats"], section(golden, "step/batch_stats/"), "statistics")
    average = export_generator(g_module, {"params": state.ema["params"]["g"]})["params"]
    _all_close(average, section(golden, "step/ema/"), "average")


def _check_gradients(golden, found, player, norms, whole):
    names = [str(name) for name in golden[f"step/{player}_leaf_names"]]
    expected = dict(zip(names, golden[f"step/{norms}"], strict=True))
    for name, norm in expected.items():
        if not _nothing(name):
            close(np.linalg.norm(found[name]), norm, f"{norms} of {name}", GRADIENTS)
    _all_close(found, section(golden, f"step/{whole}/"), whole, GRADIENTS)


def _nothing(name):
    """Whether a bias stands in front of a batch norm: 0 in exact arithmetic."""
    block, _, layer = name.partition("/")
    spatial = block.startswith("GenSpatialBlock") and layer.startswith("Conv_")
    return name.endswith("/bias") and (
        spatial or (block.startswith("GenBlock") and layer.startswith("Conv_0"))
    )


CASES = {
    "generator": generator,
    "discriminator": discriminator,
    "losses": losses,
    "image_network": image_network,
    "step": step,
}
