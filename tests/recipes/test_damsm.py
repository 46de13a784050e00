"""Training of DAMSM: its four terms, classes, statistics, and what it starts from."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recipes.gan_passes import close
from t2i_jax import axis, types
from t2i_jax.encoders.damsm import CompactImageEncoder, ImageFeatures, TextEncoder
from t2i_jax.losses.damsm import sentence_losses, word_losses
from t2i_jax.models.layers import BatchNorm
from t2i_jax.recipes.damsm import Recipe
from t2i_jax.recipes.terms import Seen, check_terms

TEXT = TextEncoder(vocab_size=11, word_dim=5, embedding=6, dropout=0.4)
IMAGE = CompactImageEncoder(embedding=6, widths=(3, 4), local_stages=1)
WORDS = ("word_captions", "word_images")
SENTENCES = ("sentence_captions", "sentence_images")
ALL = frozenset(f"net.{name}" for name in (*WORDS, *SENTENCES))
FACTORS = {"gamma1": 3.0, "gamma2": 4.0, "form": "paper"}
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 8, (8, 2))
    return {
        types.TOKENS: rng.integers(1, 11, (8, 2, 7)).astype(np.int32),
        types.MASK: np.arange(7) < lengths[..., None],
        types.IMAGES: rng.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32),
        types.LABEL: np.array([0, 1, 2, 3, 4, 4, 5, 0], np.int32),
    }


def make(**fields):
    return Recipe(**{"text": TEXT, "image": IMAGE, "active": ALL, **FACTORS, **fields})


@pytest.fixture(scope="module")
def variables(batch):
    return jax.jit(make().init)(jax.random.key(1), Seen(batch))["net"]


def test_terms_are_the_losses_of_the_first_captions_and_the_images(batch, variables):
    """With dropout, and batch norm that moves; rows of one class are no negatives unless asked."""

    @jax.jit
    def run(variables, batch):
        seen = Seen(batch)
        found = [make(same_class=same).terms(variables, seen, KEY) for same in (False, True)]
        own = {n: {k: v[n] for k, v in variables.items() if n in v} for n in ("text", "image")}
        tokens, mask = batch[types.TOKENS][:, 0], batch[types.MASK][:, 0]
        text = TEXT.apply(own["text"], tokens, mask, rngs={"dropout": KEY})
        image, state = IMAGE.apply(own["image"], batch[types.IMAGES], True, mutable=["batch_stats"])
        expected = []
        for labels in (batch[types.LABEL], None):
            words = word_losses(image.regions, text, labels=labels, **FACTORS)
            sentences = sentence_losses(image.code, text.sentence, labels=labels)
            expected.append(dict(zip((*WORDS, *SENTENCES), (*words, *sentences), strict=True)))
        return found, expected, state

    found, expected, state = run(variables, batch)
    for terms, losses in zip(found, expected, strict=True):
        check_terms("net", terms.losses, ALL)
        close(terms.losses, losses)
        close(terms.state, {"batch_stats": {"image": state["batch_stats"]}})
    assert all(float(found[1].losses[n]) > float(found[0].losses[n]) for n in found[0].losses)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), state, _stats(variables))
    assert all(jax.tree.leaves(moved))


def test_frozen_text_takes_the_place_of_the_own_encoder(batch, variables):
    """The same losses from the same words; nothing of the text is trained."""
    text = TEXT.clone(dropout=0.0)
    frozen = make(text=None)
    assert make().reads == "tokens" and frozen.reads == "words"

    @jax.jit
    def run(variables):
        own = {"params": variables["params"]["text"]}
        read = text.apply(own, batch[types.TOKENS][:, 0], batch[types.MASK][:, 0])
        images = {kind: {"image": tree["image"]} for kind, tree in variables.items()}
        expected = make(text=text).terms(variables, Seen(batch), KEY)
        return frozen.terms(images, Seen(batch, read), KEY), expected

    close(*run(variables))
    like = jax.ShapeDtypeStruct((8, 6), np.float32)
    init = jax.eval_shape(frozen.init, KEY, Seen(batch, types.Text(like)))
    assert init["net"]["params"].keys() == {"image"}
    frozen.check(Seen(batch, types.Text(np.zeros((8, 6)))))
    with pytest.raises(ValueError, match="image.embedding=6, .* have 5 numbers: set image.embeddi"):
        frozen.check(Seen(batch, types.Text(np.zeros((8, 5)))))


def _stats(variables):
    return {"batch_stats": variables["batch_stats"]["image"]}


def test_four_devices_give_the_global_batchs_loss_and_gradient(batch, variables):
    def results(recipe, variables, batch):
        def loss(params):
            terms = recipe.terms({**variables, "params": params}, Seen(batch), KEY)
            return sum(terms.losses.values()), terms

        grads, terms = jax.grad(loss, has_aux=True)(variables["params"])
        return axis.mean((terms, grads), recipe.axis_name)

    expected, grads = jax.jit(lambda *a: results(make(), *a))(variables, batch)
    split = {k: x.reshape(4, 2, *x.shape[1:]) for k, x in batch.items()}
    bound = make().bind("data")
    per_device = jax.pmap(lambda *a: results(bound, *a), "data", in_axes=(None, 0))
    found, parts = jax.tree.map(lambda x: x[0], per_device(variables, split))
    close(found, expected, atol=1e-5)
    scale = max(np.abs(x).max() for x in jax.tree.leaves(grads))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * scale), parts, grads
    )


def test_terms_of_weight_zero_are_not_computed(batch, variables):
    for names in (WORDS[:1], SENTENCES[1:], (*WORDS, *SENTENCES)):
        recipe = make(active=frozenset(f"net.{name}" for name in names))
        terms = jax.eval_shape(recipe.terms, variables, Seen(batch), KEY)
        assert set(terms.losses) == set(names)


def test_retrieval_compares_encoders_in_evaluation_mode(batch, variables):
    embed = jax.jit(make().embed)
    found = embed(variables, Seen(batch))
    few = embed(variables, Seen({key: rows[:3] for key, rows in batch.items()}))
    for rows, first in zip(found["sentence"], few["sentence"], strict=True):
        assert rows.shape == (8, 6)
        np.testing.assert_allclose(rows[:3], first, atol=1e-6)


class _Trunk(nn.Module):
    """A trunk with one block more where it stands alone."""

    alone: bool = False

    @nn.compact
    def __call__(self, images, train):
        x = nn.Dense(4, name="block1")(images)
        x = BatchNorm(name="bn")(x, train)
        return nn.Dense(2, name="block2")(x) if self.alone else x


class _OnTrunk(nn.Module):
    embedding: int = 6

    @nn.compact
    def __call__(self, images, train):
        x = _Trunk(name="inception")(images, train)
        code = nn.Dense(self.embedding, name="code")(jnp.mean(x, axis=(1, 2)))
        return ImageFeatures(code[:, None], code)


def test_an_image_encoder_starts_from_a_published_trunk(batch):
    given = _Trunk(alone=True).init(jax.random.key(8), batch[types.IMAGES], train=False)
    recipe, key = make(image=_OnTrunk()), jax.random.key(1)
    fresh = recipe.init(key, Seen(batch))["net"]
    started = recipe.init(key, Seen(batch, frozen={"inception": given}))["net"]
    for kind in ("params", "batch_stats"):
        trunk = {k: v for k, v in given[kind].items() if k != "block2"}
        jax.tree.map(np.testing.assert_array_equal, started[kind]["image"]["inception"], trunk)
    assert not np.array_equal(
        fresh["params"]["image"]["inception"]["block1"]["kernel"],
        started["params"]["image"]["inception"]["block1"]["kernel"],
    )
    rest = [{**x["params"], "image": x["params"]["image"]["code"]} for x in (fresh, started)]
    jax.tree.map(np.testing.assert_array_equal, *rest)
    assert recipe.starting_points == ("inception",), "no step needs it again"


def test_encoders_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="text.embedding=6, but image.embedding=8"):
        dataclasses.replace(make(), image=IMAGE.clone(embedding=8))
