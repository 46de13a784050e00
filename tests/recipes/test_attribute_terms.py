"""Attributes read off the vectors of both text encoders' recipes: closed form, heads, remedies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax import types
from t2i_jax.encoders import char_cnn_rnn, damsm
from t2i_jax.encoders.attribute_head import AttributeHead
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.recipes import char_cnn_rnn as char_recipe
from t2i_jax.recipes import damsm as damsm_recipe
from t2i_jax.recipes.terms import Seen, check_terms

TERMS = frozenset({"net.text_attributes", "net.image_attributes"})
HEAD = AttributeHead((3, 2))
CHAR = char_recipe.Recipe(
    text=char_cnn_rnn.TextEncoder(conv_widths=(3, 4), width=5, embedding=6),
    image=SmallImageNet(widths=(4, 4), embedding=6),
    attributes=HEAD,
    active=TERMS,
)
DAMSM = damsm_recipe.Recipe(
    text=damsm.TextEncoder(vocab_size=71, word_dim=5, embedding=6, dropout=0.0),
    image=damsm.CompactImageEncoder(embedding=6, widths=(3, 4), local_stages=1),
    attributes=HEAD,
    active=TERMS,
)
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 71, (8, 1, 84)).astype(np.int32)
    return Seen(
        {
            types.TOKENS: tokens,
            types.MASK: tokens > 0,
            types.IMAGES: rng.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32),
            types.LABEL: np.arange(8, dtype=np.int32),
            types.ATTRIBUTES: rng.integers(0, (3, 2), (8, 2)).astype(np.int32),
        }
    )


@pytest.mark.parametrize("recipe", [CHAR, DAMSM], ids=["char_cnn_rnn", "damsm"])
def test_an_untrained_reader_knows_nothing_and_a_reader_of_biases_what_they_say(recipe, seen):
    """Weights of 0 give the mean of log 3 and log 2; a bias towards a value its log-softmax."""
    variables = jax.jit(recipe.init)(jax.random.key(1), seen)["net"]
    head = variables["params"]["attributes"]["Dense_0"]
    assert head["kernel"].shape == (6, 5)
    run = jax.jit(lambda bias: recipe.terms(with_head(variables, bias), seen, KEY))
    terms = run(jnp.zeros(5))
    check_terms("net", terms.losses, TERMS)
    for loss in terms.losses.values():
        assert loss == pytest.approx((np.log(3) + np.log(2)) / 2, rel=1e-5)
    bias = np.array([1.0, 0.0, -1.0, 0.5, 0.0])
    labels = np.asarray(seen.of(types.ATTRIBUTES))
    first, second = (x - np.log(np.sum(np.exp(x))) for x in (bias[:3], bias[3:]))
    expected = -(first[labels[:, 0]].mean() + second[labels[:, 1]].mean()) / 2
    for loss in run(jnp.asarray(bias)).losses.values():
        assert loss == pytest.approx(expected, rel=1e-5)


def with_head(variables, bias):
    dense = {"kernel": jnp.zeros((6, 5)), "bias": bias}
    return {**variables, "params": {**variables["params"], "attributes": {"Dense_0": dense}}}


@pytest.mark.parametrize("recipe", [CHAR, DAMSM], ids=["char_cnn_rnn", "damsm"])
def test_the_text_moves_for_its_term_alone(recipe, seen):
    recipe = dataclasses.replace(recipe, active=frozenset({"net.text_attributes"}))
    variables = jax.jit(recipe.init)(jax.random.key(1), seen)["net"]

    def loss(params):
        return recipe.terms({**variables, "params": params}, seen, KEY).losses["text_attributes"]

    grads = jax.jit(jax.grad(loss))(variables["params"])
    size = {
        name: sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(grads[name])) for name in grads
    }
    assert size["text"] > 0 and size["attributes"] > 0 and size["image"] == 0


def test_what_is_missing_is_said(seen):
    without = Seen({k: v for k, v in seen.batch.items() if k != types.ATTRIBUTES})
    variables = jax.eval_shape(CHAR.init, jax.random.key(1), seen)["net"]
    with pytest.raises(ValueError, match="set data.attributes"):
        jax.eval_shape(CHAR.terms, variables, without, KEY)
    headless = dataclasses.replace(CHAR, attributes=None)
    with pytest.raises(ValueError, match="loss.net.image_attributes .* section 'attributes'"):
        jax.eval_shape(headless.terms, variables, seen, KEY)
    with pytest.raises(ValueError, match="attributes.classes is empty"):
        AttributeHead().init(KEY, jnp.zeros((1, 3)))
