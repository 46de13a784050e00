"""Gradient penalties against closed forms, gradients of gradients and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from t2i_jax.losses.gradient_penalties import matching_aware, zero_centred

RNG = np.random.default_rng(5)
IMAGES = jnp.asarray(RNG.normal(size=(4, 3, 3, 2)), jnp.float32)
SENTENCE = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)
PARAMS = {
    "image": jnp.asarray(0.2 * RNG.normal(size=(18, 6)), jnp.float32),
    "sentence": jnp.asarray(0.3 * RNG.normal(size=(5, 6)), jnp.float32),
    "out": jnp.asarray(RNG.normal(size=6), jnp.float32),
}


def smooth(params):
    """A small discriminator whose slope differs from sample to sample."""

    def judge(images, sentence):
        pixels = images.reshape(images.shape[0], -1)
        return jnp.tanh(pixels @ params["image"] + sentence @ params["sentence"]) @ params["out"]

    return judge


def linear(params):
    def judge(images, sentence):
        return images.reshape(images.shape[0], -1) @ params["image"] + sentence @ params["sentence"]

    return judge


def ma_gp(form, exponent=6.0):
    return lambda params, judge=smooth: matching_aware(
        judge(params), IMAGES, SENTENCE, exponent=exponent, form=form
    )


def r1(params, judge=smooth):
    return zero_centred(judge(params), IMAGES, SENTENCE)


def by_definition(params, kind):
    """The penalty as a plain function of the slopes, to be differentiated twice in reverse."""
    slopes = jax.grad(lambda x, s: smooth(params)(x, s).sum(), argnums=(0, 1))(IMAGES, SENTENCE)
    of_image, of_sentence = (jnp.sum(g.reshape(4, -1) ** 2, axis=1) for g in slopes)
    if kind == "paper":
        return 2.0 * jnp.mean((jnp.sqrt(of_image) + jnp.sqrt(of_sentence)) ** 6)
    if kind == "released":
        return 2.0 * jnp.mean(jnp.sqrt(of_image + of_sentence) ** 6)
    return 0.5 * jnp.mean(of_image)


PENALTIES = {"paper": ma_gp("paper"), "released": ma_gp("released"), "zero_centred": r1}


@pytest.mark.parametrize("kind", PENALTIES)
def test_value_and_gradient_are_those_of_two_reverse_passes(kind):
    value, grads = jax.jit(jax.value_and_grad(PENALTIES[kind]))(PARAMS)
    expected, expected_grads = jax.value_and_grad(by_definition)(PARAMS, kind)
    assert value == pytest.approx(float(expected), rel=1e-6)
    for name, grad in grads.items():
        scale = np.max(np.abs(expected_grads[name]))
        np.testing.assert_allclose(grad, expected_grads[name], atol=1e-6 * scale, err_msg=name)


@pytest.mark.parametrize("kind", PENALTIES)
def test_gradients_are_finite_differences(kind):
    check_grads(PENALTIES[kind], (PARAMS,), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


def test_closed_forms_of_a_linear_discriminator():
    w, u = PARAMS["image"][:, 0], PARAMS["sentence"][:, 0]
    params = {"image": w, "sentence": u}
    value, grads = jax.value_and_grad(r1)(params, linear)
    assert value == pytest.approx(0.5 * float(w @ w), rel=1e-6)
    np.testing.assert_allclose(grads["image"], w, rtol=1e-6)
    np.testing.assert_array_equal(grads["sentence"], 0.0)
    norms = float(jnp.linalg.norm(w)), float(jnp.linalg.norm(u))
    for exponent in (6.0, 3.0):
        paper = ma_gp("paper", exponent)(params, linear)
        assert paper == pytest.approx(2.0 * sum(norms) ** exponent, rel=1e-5)
        released = ma_gp("released", exponent)(params, linear)
        assert released == pytest.approx(2.0 * np.hypot(*norms) ** exponent, rel=1e-5)


@pytest.mark.parametrize("form", ["paper", "released"])
@pytest.mark.parametrize("exponent", [6.0, 2.0, 1.0])
@pytest.mark.parametrize("flat", [("image", "sentence"), ("sentence",)])
def test_a_flat_discriminator_gives_no_nan(form, exponent, flat):
    params = {"image": PARAMS["image"][:, 0], "sentence": PARAMS["sentence"][:, 0]}
    params |= {name: jnp.zeros_like(params[name]) for name in flat}
    value, grads = jax.value_and_grad(ma_gp(form, exponent))(params, linear)
    assert np.isfinite(value) and (value == 0.0) == (len(flat) == 2)
    for name, grad in grads.items():
        assert np.isfinite(grad).all()
        assert (name in flat) == (not np.any(grad))


def test_scales_of_a_pyramid_are_summed():
    def judge(images, sentence):
        return tuple(smooth(PARAMS)(x, sentence) for x in images)

    both = zero_centred(judge, (IMAGES, 2.0 * IMAGES), SENTENCE)
    one, other = (zero_centred(smooth(PARAMS), x, SENTENCE) for x in (IMAGES, 2.0 * IMAGES))
    assert both == pytest.approx(float(one + other), rel=1e-6)


def test_penalties_are_float32_whatever_the_compute_dtype():
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), PARAMS)

    def judge(images, sentence):
        return smooth(half)(images.astype(jnp.bfloat16), sentence.astype(jnp.bfloat16))

    value = matching_aware(judge, IMAGES, SENTENCE)
    assert value.dtype == jnp.float32
    assert value == pytest.approx(float(ma_gp("paper")(PARAMS)), rel=0.1)


def test_unknown_form():
    with pytest.raises(ValueError, match="'both'"):
        matching_aware(smooth(PARAMS), IMAGES, SENTENCE, form="both")
