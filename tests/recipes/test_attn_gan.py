"""The objective of AttnGAN: terms, order of passes, mismatched pairs, DAMSM, devices. What DR-GAN
adds to it: tests/recipes/test_distribution_terms.py; golden numbers: tests/parity.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from recipes.gan_passes import (
    accuracy,
    check_fakes_handed_over,
    check_four_devices,
    close,
    close_gradients,
)
from t2i_jax import types
from t2i_jax.encoders.damsm import CompactImageEncoder
from t2i_jax.losses.damsm import sentence_losses, word_losses
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.models.attn_gan import Discriminator, Generator
from t2i_jax.models.images import pyramid
from t2i_jax.recipes.attn_gan import Recipe
from t2i_jax.recipes.terms import Seen, apply_train, check_terms, with_state
from t2i_jax.types import Text

ROWS, WORDS, WIDTH, SIZES = 8, 4, 6, (8, 16)
D_TERMS = frozenset({"d.real", "d.fake", "d.wrong", "d.uncond_real", "d.uncond_fake"})
G_TERMS = frozenset({"g.fake", "g.uncond_fake", "g.kl"})
DAMSM = frozenset({"g.damsm_words", "g.damsm_sentence"})
LABELS = np.array([0, 1, 1, 2, 3, 4, 0, 5], np.int32)
KEY = jax.random.key(3)


def make(active=D_TERMS | G_TERMS, **fields):
    return Recipe(
        generator=Generator(
            channels=4, condition_dim=3, noise_dim=4, residual_blocks=1, scales=2, base_size=8
        ),
        discriminator=Discriminator(channels=2),
        damsm=CompactImageEncoder(embedding=WIDTH, widths=(3, 4), local_stages=1),
        active=active,
        **fields,
    )


def text(seed):
    sentence, words = jax.random.split(jax.random.key(seed))
    mask = jnp.arange(WORDS) < jnp.asarray([4, 1, 2, 3] * 2)[:, None]
    words = jax.random.normal(words, (ROWS, WORDS, WIDTH)) * mask[..., None]
    return Text(jax.random.normal(sentence, (ROWS, WIDTH)), words, mask)


@pytest.fixture(scope="module")
def seen():
    images = jax.random.uniform(jax.random.key(7), (ROWS, 16, 16, 3), minval=-1)
    return Seen({types.IMAGES: images, types.LABEL: LABELS}, text(1), text(2))


@pytest.fixture(scope="module")
def variables(seen):
    return jax.jit(make().init)(jax.random.key(1), seen)


@pytest.fixture(scope="module")
def damsm(seen):
    return make().init_frozen("damsm", jax.random.key(4), seen)


def bce(logits, label):
    losses = [optax.sigmoid_binary_cross_entropy(x, jnp.full(x.shape, label)) for x in logits]
    return sum(loss.mean() for loss in losses)


def test_terms_are_passes_in_the_releases_order_summed_over_the_scales(seen, variables):
    """D's running statistics too, which see the trunks of both, then the heads of all pairs. The
    wrong pairs are the release's shift by one row, or captions that the data give.
    """

    def expected(recipe, d, images, wrong):
        """In the order of calls: features of real and fake, judgements of real, fake and wrong."""
        d, answers = recipe.discriminator, [d]

        def call(*args, method):
            result, state = apply_train(d, answers[0], *args, method=method)
            answers[0] = with_state(answers[0], state)
            return result

        features = {kind: call(x, method="features") for kind, x in images.items()}
        sentence = seen.text.sentence
        judged = {kind: call(x, sentence, method="judge") for kind, x in features.items()}
        rows = slice(None, -1) if wrong is None else slice(None)
        other = sentence[1:] if wrong is None else wrong
        real = jax.tree.map(lambda x: x[rows], features["real"])
        judged["wrong"] = call(real, other, method="judge")
        return judged, answers[0]["batch_stats"]

    recipes = {"shift": make(), "caption": make(mismatch="caption")}

    @jax.jit
    def run(variables):
        recipe = recipes["shift"]
        out, _ = recipe.generate(variables["g"], seen, recipe.noise(KEY, ROWS), True)
        images = {"real": pyramid(seen.batch[types.IMAGES], SIZES), "fake": out["images"]}
        d, found = variables["d"], {}
        for name, recipe in recipes.items():
            wrong = None if name == "shift" else seen.wrong_text.sentence
            terms = recipe.d_terms(d, seen, out, KEY)
            found[name] = terms.replace(fakes=None), expected(recipe, d, images, wrong)
        features, state = apply_train(recipe.discriminator, d, images["fake"], method="features")
        judged, after = apply_train(
            recipe.discriminator,
            with_state(d, state),
            features,
            seen.text.sentence,
            method="judge",
        )
        g = recipe.g_terms(d, seen, out, KEY)
        return found, (g, judged, after, gaussian_kl(out["mu"], out["logvar"]))

    found, (g, (fits, real), after, kl) = run(variables)
    for terms, (judged, state) in found.values():
        check_terms("d", terms.losses, D_TERMS)
        close(terms.state, {"batch_stats": state})
        for kind, positive in (("real", True), ("fake", False), ("wrong", False)):
            close(terms.losses[kind], bce(judged[kind][0], float(positive)))
            close(terms.metrics[f"accuracy_{kind}"], accuracy(*judged[kind][0], positive=positive))
        for kind, label in (("real", 1.0), ("fake", 0.0)):
            close(terms.losses[f"uncond_{kind}"], bce(judged[kind][1], label))
    wrong = [terms.losses["wrong"] for terms, _ in found.values()]
    assert abs(wrong[0] - wrong[1]) > 1e-4
    assert [x.shape for x in found["shift"][1][0]["wrong"][0]] == 2 * [(ROWS - 1,)]
    expected_losses = {"fake": bce(fits, 1.0), "uncond_fake": bce(real, 1.0), "kl": kl}
    check_terms("g", g.losses, G_TERMS)
    close(g.losses, expected_losses)
    close(g.state, after)


def test_damsm_teaches_the_largest_image_and_not_the_text(seen, variables, damsm):
    """Both pairs of losses, rows of one class being no negatives of each other."""
    recipe = make(active=DAMSM, gamma1=3.0, gamma3=7.0, damsm_form="paper")
    seen = seen._replace(frozen={"damsm": damsm})
    keys = jax.random.split(KEY, 2)
    images = tuple(
        jax.random.uniform(k, (ROWS, s, s, 3), minval=-1) for k, s in zip(keys, SIZES, strict=True)
    )

    def total(images, text):
        out = {"images": images, "mu": None, "logvar": None}
        terms = recipe.g_update(variables["d"], seen._replace(text=text), out, KEY)
        return sum(terms.losses.values()), terms

    def expected(image):
        found = recipe.damsm.apply(damsm, image, train=False)
        words = word_losses(
            found.regions, seen.text, labels=LABELS, gamma1=3.0, gamma3=7.0, form="paper"
        )
        sentences = sentence_losses(found.code, seen.text.sentence, labels=LABELS, gamma3=7.0)
        return sum(words) + sum(sentences), (sum(words), sum(sentences))

    @jax.jit
    def run(images):
        grad = jax.grad(total, argnums=(0, 1), has_aux=True, allow_int=True)
        return grad(images, seen.text), jax.grad(expected, has_aux=True)(images[-1])

    ((of_images, of_text), terms), (of_largest, (words, sentences)) = run(images)
    close(terms.losses, {"damsm_words": words, "damsm_sentence": sentences})
    assert not terms.state, "D is not asked"
    assert not np.any(of_images[0])
    close_gradients(of_images[1], of_largest)
    assert not np.any(of_text.sentence) and not np.any(of_text.words)


def test_four_devices_compute_what_one_does(seen, variables):
    """Wrong pairs included, which are one less than the rows of the global batch."""
    check_four_devices(make(), variables, seen._replace(wrong_text=None), KEY)


def test_the_generator_takes_over_what_the_discriminator_found(seen, variables):
    check_fakes_handed_over(make(), variables, seen, KEY)


def test_terms_of_weight_zero_are_not_computed(seen, variables, damsm):
    seen = seen._replace(frozen={"damsm": damsm})
    everything = D_TERMS | G_TERMS | DAMSM

    def losses(recipe, variables):
        out, _ = recipe.generate(variables["g"], seen, recipe.noise(KEY, ROWS), True)
        return (
            recipe.d_terms(variables["d"], seen, out, KEY).losses,
            recipe.g_update(variables["d"], seen, out, KEY).losses,
        )

    for without in ({"d.wrong"}, {"d.real", "g.damsm_words"}, {"g.fake", "g.uncond_fake"}, DAMSM):
        recipe = make(active=everything - without)
        d, g = jax.eval_shape(lambda v, recipe=recipe: losses(recipe, v), variables)
        check_terms("d", d, recipe.active)
        check_terms("g", g, recipe.active)


def test_a_sample_shows_the_attention_of_every_later_stage(seen, variables):
    recipe = make()
    keys = jax.random.split(KEY, ROWS)

    def sample(variables):
        noise = recipe.sample_noise(keys)
        out, state = recipe.generate(variables, Seen({}, seen.text), noise, train=False)
        assert not state and out["disentangled"] == ()
        return out["images"], out["attention"]

    images, (attention,) = jax.eval_shape(sample, variables["g"])
    assert [x.shape for x in images] == [(ROWS, s, s, 3) for s in SIZES]
    assert attention.shape == (ROWS, 8, 8, WORDS)


def test_what_does_not_fit_is_refused(seen, variables):
    with pytest.raises(ValueError, match="mismatch must be one of .*, got 'roll'"):
        make(mismatch="roll")
    with pytest.raises(ValueError, match=r"image_sizes=\(8, 32\), but the generator makes \(8, 16"):
        dataclasses.replace(make(), discriminator=Discriminator(2, (8, 32)))
    with pytest.raises(ValueError, match="g.damsm_.* need a trained image encoder: set frozen.dam"):
        make(active=DAMSM).check(seen)
    recipe = make(mismatch="caption")
    out = {"images": tuple(jnp.zeros((ROWS, s, s, 3)) for s in SIZES)}
    with pytest.raises(ValueError, match="needs mismatched captions: set data.mismatch=caption"):
        jax.eval_shape(
            lambda d: recipe.d_terms(d, seen._replace(wrong_text=None), out, KEY), variables["d"]
        )
