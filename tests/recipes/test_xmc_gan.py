"""The objective of XMC-GAN: which pairs each term compares, what is asked of D, what is refused.

Golden numbers and a whole step: tests/parity; devices: tests/test_configs.py; the contrastive
losses: tests/losses.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recipes.gan_passes import check_fakes_handed_over, close, run
from t2i_jax import types
from t2i_jax.encoders.damsm import CompactImageEncoder
from t2i_jax.losses.contrastive import cosine_scores, nt_xent, word_scores
from t2i_jax.models.xmc_gan import Discriminator, Generator
from t2i_jax.recipes.terms import Seen, check_terms
from t2i_jax.recipes.xmc_gan import Recipe
from t2i_jax.types import Text

ROWS, WORDS, WIDTH, SIDE = 4, 3, 6, 32
D_TERMS = frozenset({"d.real", "d.fake", "d.sentence", "d.word"})
G_TERMS = frozenset({"g.fake", "g.sentence", "g.word", "g.image"})
FROZEN = frozenset({"g.image_network", "g.perceptual"})
KEY = jax.random.key(3)


def make(active=D_TERMS | G_TERMS | FROZEN, **fields):
    return Recipe(
        generator=Generator(channels=1, image_size=SIDE, noise_dim=4, attend_from=16),
        discriminator=Discriminator(channels=2, image_size=SIDE),
        image_network=CompactImageEncoder(embedding=5, widths=(3, 4), local_stages=1),
        active=active,
        **fields,
    )


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (ROWS, SIDE, SIDE, 3)).astype(np.float32)
    mask = np.arange(WORDS) < np.array([3, 1, 2, 3])[:, None]
    words = rng.normal(size=(ROWS, WORDS, WIDTH)).astype(np.float32) * mask[..., None]
    sentence = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    seen = Seen({types.IMAGES: images}, Text(sentence, words, mask))
    draw = jax.jit(lambda key: make().init_frozen("image_network", key, seen))
    network = draw(jax.random.key(4))
    return seen._replace(frozen={"image_network": network})


@pytest.fixture(scope="module")
def variables(seen):
    return jax.jit(make().init)(jax.random.key(1), seen)


def shapes(seen, **fields):
    """What the terms of both players are, traced alone."""
    recipe = make(**fields)
    like = jax.eval_shape(recipe.init, KEY, seen)
    return recipe, jax.eval_shape(lambda v: run(recipe, v, seen, KEY), like)


def without_words():
    """The form for encoders of sentences."""
    recipe = make(active=(D_TERMS | G_TERMS) - {"d.word", "g.word"})
    generator = recipe.generator.clone(attention="none")
    return dataclasses.replace(recipe, generator=generator)


def test_sentences_alone(seen):
    """The form without words never sees any: neither G nor D has a layer for them. All that it
    computes is what the form with words computes with the same parameters.
    """
    recipe, text = without_words(), seen.text
    alone = seen._replace(text=Text(text.sentence))
    assert (recipe.reads, make().reads) == ("sentence", "words")
    variables = jax.jit(recipe.init)(KEY, alone)
    assert "regions" not in variables["d"]["params"]

    @jax.jit
    def both(variables):
        passes = [run(recipe, variables, x, KEY) for x in (alone, seen)]
        return [(x.out["images"], x.d.losses, x.g.losses) for x in passes]

    first, second = both(variables)
    close(first, second)
    check_terms("d", first[1], D_TERMS - {"d.word"})
    assert set(recipe.embed(variables["d"], alone)) == {"sentence"}


@pytest.mark.parametrize("active", [{"d.word"}, {"g.word"}, {"d.word", "g.sentence"}])
def test_a_term_of_words_reads_words(active):
    assert dataclasses.replace(without_words(), active=frozenset(active)).reads == "words"


def test_terms_compare_their_pairs(seen, variables):
    """D's are of real images and G's of fake ones; one pass of D moves its vectors once."""
    recipe = make(temperature=0.3, word_temperature=0.2, rho1=3.0, rho2=2.0, directions="both")
    real, text, d = seen.batch[types.IMAGES], seen.text, recipe.discriminator

    @jax.jit
    def compute(variables):
        passes = run(recipe, variables, seen, KEY)
        found, moved = {}, {}
        for kind, images in {"real": real, "fake": passes.out["images"][0]}.items():
            found[kind], moved[kind] = d.apply(
                variables["d"], images, text.sentence, WIDTH, train=True, mutable=["spectral"]
            )
        network = seen.frozen["image_network"]
        codes = [
            recipe.image_network.apply(network, x, train=False).code
            for x in (real, *passes.out["images"])
        ]
        # G's terms under the same D: the second pass of `run` has moved vectors.
        g = recipe.g_terms(variables["d"], seen, passes.out, KEY)
        return passes, found, moved, codes, g

    passes, found, moved, (of_real, of_fake), g = compute(variables)
    check_terms("d", passes.d.losses, D_TERMS)
    check_terms("g", g.losses, G_TERMS | FROZEN)
    close(passes.d.state, moved["real"])

    def contrast(score, first, second, temperature):
        return nt_xent(score, first, second, temperature=temperature, directions="both")

    def words(regions, text):
        return word_scores(regions, text, rho1=3.0, rho2=2.0)

    def with_text(logits, encoded):
        return {
            "sentence": contrast(cosine_scores, encoded.image, encoded.sentence, 0.3),
            "word": contrast(words, encoded.regions, text, 0.2),
        }

    of_d, of_g = with_text(*found["real"]), with_text(*found["fake"])
    encoded = [found[kind][1].image for kind in ("real", "fake")]
    of_g["image"] = contrast(cosine_scores, *encoded, 0.3)
    of_g["image_network"] = contrast(cosine_scores, of_real, of_fake, 0.3)
    hinges = {
        "real": np.maximum(1 - found["real"][0], 0).mean(),
        "fake": np.maximum(1 + found["fake"][0], 0).mean(),
    }
    rest = {"fake": -found["fake"][0].mean(), "perceptual": np.mean((of_real - of_fake) ** 2)}
    close(passes.d.losses, hinges | {name: x.loss for name, x in of_d.items()}, 1e-5)
    close(g.losses, rest | {name: x.loss for name, x in of_g.items()}, 1e-5)
    close(passes.d.metrics["accuracy_real"], np.mean(found["real"][0] > 0))
    for metrics, contrasts in ((passes.d.metrics, of_d), (g.metrics, of_g)):
        for name, x in contrasts.items():
            close(metrics[f"accuracy_{name}"], x.accuracy)


def test_the_generator_takes_over_what_the_discriminator_found(seen, variables):
    check_fakes_handed_over(make(D_TERMS | G_TERMS), variables, seen, KEY)


def test_what_is_not_weighted_is_not_computed(seen):
    for active in ({"d.real", "d.fake", "g.fake"}, {"d.word", "g.image"}, {"d.real", "g.word"}):
        active = frozenset(active)
        recipe, passes = shapes(seen, active=active)
        check_terms("d", passes.d.losses, recipe.active)
        check_terms("g", passes.g.losses, recipe.active)
        named = {f"{p}.{n}" for p in ("d", "g") for n in getattr(passes, p).metrics}
        asked = {t.replace(".", ".accuracy_") for t in active - {"d.real", "d.fake", "g.fake"}}
        assert named == asked | {"d.accuracy_real", "d.accuracy_fake"}


class Vectors(nn.Module):
    """An image network that gives what `mean` makes of images."""

    axes: tuple[int, ...] = (1, 2)

    def __call__(self, images, train):
        return jnp.mean(images, axis=self.axes)


def test_image_networks_may_give_plain_vectors_but_no_maps(seen):
    seen = seen._replace(frozen={"image_network": {}})
    recipe = dataclasses.replace(make(), image_network=Vectors())
    like = jax.eval_shape(recipe.init, KEY, seen)
    jax.eval_shape(lambda v: run(recipe, v, seen, KEY), like)
    recipe = dataclasses.replace(recipe, image_network=Vectors((1,)))
    with pytest.raises(ValueError, match="image_network: Vectors gives no vector an image"):
        jax.eval_shape(lambda v: run(recipe, v, seen, KEY), like)


class Sized(nn.Module):
    """An image network that says at which side it looks at images."""

    image_size: int = 9

    def __call__(self, images, train):
        return jnp.full((len(images), 1), self.image_size)


def test_the_image_network_looks_at_the_size_that_is_asked_for(seen):
    found = [
        dataclasses.replace(make(), image_network=Sized(), image_network_size=size)._network(
            seen._replace(frozen={"image_network": {}}), (jnp.zeros((2, 4, 4, 3)),)
        )
        for size in (0, 5)
    ]
    assert [x.tolist() for x in found] == [[[9.0], [9.0]], [[5.0], [5.0]]]


def test_terms_without_their_network_are_refused(seen):
    bare = seen._replace(frozen={})
    with pytest.raises(ValueError, match=r"set frozen.image_network .* loss.g.perceptual=0"):
        make().check(bare)
    make(D_TERMS | G_TERMS).check(bare)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directions": "text"}, "directions must be one of .*, got 'text'"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"image_network_size": 64}, "image_network_size=64: CompactImageEncoder resizes no"),
        (
            {"discriminator": Discriminator(image_size=64)},
            "discriminator.image_size=64, but the generator makes 32 px",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make(), **change)
