"""Training of the text encoder: global batches on several devices, both kinds of pairs."""

import functools

import jax
import numpy as np
import pytest

from t2i_jax import types
from t2i_jax.encoders.char_cnn_rnn import TextEncoder
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.recipes.char_cnn_rnn import FEATURES, Recipe
from t2i_jax.recipes.terms import Seen, check_terms

TEXT = TextEncoder(conv_widths=(3, 4), width=5, embedding=6)
IMAGE = SmallImageNet(widths=(4, 4), embedding=6)
BOTH = frozenset({"net.image_to_text", "net.text_to_image"})
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        types.TOKENS: rng.integers(0, 71, (8, 2, 84)).astype(np.int32),
        types.IMAGES: rng.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32),
        types.LABEL: np.array([0, 1, 2, 3, 4, 4, 5, 0], np.int32),
    }


def scaled(variables):
    """Larger weights: at the initial ones all captions have nearly the same vector."""
    return {**variables, "params": jax.tree.map(lambda x: 6 * x, variables["params"])}


def loss_of(recipe):
    def loss(params, state, batch):
        terms = recipe.terms({"params": params, **state}, Seen(batch), KEY)
        check_terms("net", terms.losses, recipe.active)
        return sum(terms.losses.values()), terms

    return jax.value_and_grad(loss, has_aux=True)


@pytest.mark.parametrize("surrogate", ["max", "sum"])
def test_four_devices_give_the_global_batchs_loss_and_gradient(batch, surrogate):
    if jax.device_count() < 4:
        pytest.skip("needs four devices")
    recipe = Recipe(text=TEXT.clone(dropout=0.3), image=IMAGE, surrogate=surrogate, active=BOTH)
    variables = scaled(recipe.init(jax.random.key(1), Seen(batch))["net"])
    params, state = variables["params"], {"batch_stats": variables["batch_stats"]}
    (_, whole), grads = jax.jit(loss_of(recipe))(params, state, batch)

    @functools.partial(jax.pmap, axis_name="data", in_axes=(None, None, 0))
    def per_device(params, state, batch):
        (_, parts), grads = loss_of(recipe.bind("data"))(params, state, batch)
        return jax.lax.pmean((parts, grads), "data")

    shards = {k: v.reshape(4, 2, *v.shape[1:]) for k, v in batch.items()}
    parts, part_grads = jax.tree.map(lambda x: x[0], per_device(params, state, shards))
    assert whole.losses["image_to_text"] > 0.05
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), parts, whole)
    for a, b in zip(jax.tree.leaves(part_grads), jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * grads_max(grads))


def grads_max(grads):
    return max(np.abs(leaf).max() for leaf in jax.tree.leaves(grads))


def test_variables_and_new_statistics(batch):
    recipe = Recipe(text=TEXT, image=IMAGE, active=BOTH)
    variables = recipe.init(jax.random.key(1), Seen(batch))["net"]
    assert set(variables["params"]) == {"text", "image"}
    assert set(variables["batch_stats"]) == {"image"}
    terms = jax.jit(recipe.terms)(variables, Seen(batch), KEY)
    assert set(terms.losses) == {"image_to_text", "text_to_image"}
    assert set(terms.metrics) == {"accuracy_image_to_text", "accuracy_text_to_image"}
    assert jax.tree.structure(terms.state) == jax.tree.structure(
        {"batch_stats": variables["batch_stats"]}
    )
    # The text tower is the encoder's own tree: a GAN takes it as it is.
    TEXT.apply({"params": variables["params"]["text"]}, batch[types.TOKENS][:, 0])


def test_rows_of_one_class_are_no_negatives(batch):
    """Two rows of class 4 with all others equal to them in class: nothing is left to violate."""
    recipe = Recipe(text=TEXT, image=IMAGE, active=BOTH)
    variables = scaled(recipe.init(jax.random.key(1), Seen(batch))["net"])
    run = jax.jit(lambda b: recipe.terms(variables, Seen(b), KEY))
    terms = run({**batch, types.LABEL: np.zeros(8, np.int32)})
    assert all(float(loss) == 0 for loss in terms.losses.values())
    assert all(float(accuracy) == 100 for accuracy in terms.metrics.values())
    terms = run({**batch, types.LABEL: np.arange(8, dtype=np.int32)})
    assert all(float(loss) > 0 for loss in terms.losses.values())


def test_two_captions_of_an_image(batch):
    """Query side: second caption; candidate side: first; one direction, no image."""
    recipe = Recipe(
        text=TEXT,
        pairs="captions",
        surrogate="sum",
        active=frozenset({"net.caption_to_caption"}),
        image=IMAGE,
    )
    batch = {types.TOKENS: batch[types.TOKENS]}
    variables = scaled(recipe.init(jax.random.key(1), Seen(batch))["net"])
    assert set(variables) == {"params"} and set(variables["params"]) == {"text"}
    (loss, terms), grads = jax.jit(loss_of(recipe))(variables["params"], {}, batch)
    assert terms.state == {} and set(terms.metrics) == {"accuracy_caption_to_caption"}
    text_vars = {"params": variables["params"]["text"]}
    first, second = (
        np.asarray(TEXT.apply(text_vars, batch[types.TOKENS][:, k]).sentence, float) for k in (0, 1)
    )
    scores = second @ first.T
    hinges = np.maximum(0, 1 + scores - np.diag(scores)[:, None])
    np.testing.assert_allclose(loss, (hinges.sum() - np.trace(hinges)) / 64, rtol=1e-4)
    assert grads_max(grads) > 0


def test_a_direction_of_weight_zero_is_not_computed(batch):
    recipe = Recipe(text=TEXT, image=IMAGE, active=frozenset({"net.image_to_text"}))
    variables = recipe.init(jax.random.key(1), Seen(batch))["net"]
    terms = jax.eval_shape(recipe.terms, variables, Seen(batch), KEY)
    assert set(terms.losses) == {"image_to_text"}


def test_precomputed_features_take_the_image_networks_place(batch):
    recipe = Recipe(text=TEXT, image=IMAGE, active=BOTH)
    given = {types.TOKENS: batch[types.TOKENS], FEATURES: np.ones((8, 6), np.float32)}
    variables = recipe.init(jax.random.key(1), Seen(given))["net"]
    assert set(variables["params"]) == {"text"}
    with pytest.raises(ValueError, match="vectors of 7.*embedding is 6"):
        wide = {**given, FEATURES: np.ones((8, 7), np.float32)}
        recipe.terms(variables, Seen(wide), KEY)


def test_bad_settings_are_refused(batch):
    with pytest.raises(ValueError, match="'words'"):
        Recipe(text=TEXT, image=IMAGE, pairs="words")
    with pytest.raises(ValueError, match="embedding is 6, the image network's 1024"):
        Recipe(text=TEXT)
    recipe = Recipe(text=TEXT, image=IMAGE, pairs="captions")
    with pytest.raises(ValueError, match="K >= 2 captions"):
        recipe.init(KEY, Seen({types.TOKENS: batch[types.TOKENS][:, :1]}))
