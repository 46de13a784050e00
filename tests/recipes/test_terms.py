"""What recipes see and return, and the network in use, against closed forms."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax import types
from t2i_jax.models.layers import BatchNorm
from t2i_jax.recipes.terms import Judgement, Net, Seen, accuracies, check_terms
from t2i_jax.types import Text


class Normed(nn.Module):
    """One batch norm; `noisy` adds noise of its own to it."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train):
        return BatchNorm(axis_name=self.axis_name, name="bn")(x, train)

    @nn.compact
    def noisy(self, x, train):
        return self(x, train) + jax.random.normal(self.make_rng("noise"), x.shape)


FRESH = {
    "params": {"bn": {"scale": jnp.ones(1), "bias": jnp.zeros(1)}},
    "batch_stats": {"bn": {"mean": jnp.zeros(1), "var": jnp.ones(1)}},
}
ONE, TWO = jnp.array([[1.0], [3.0]]), jnp.array([[4.0], [10.0]])  # means 2, 7; variances 2, 18


def statistics(net):
    bn = net.state["batch_stats"]["bn"]
    return float(bn["mean"][0]), float(bn["var"][0])


def test_statistics_move_with_every_call_in_the_order_of_the_calls():
    net = Net(Normed(), FRESH)
    assert net.state == {}
    np.testing.assert_allclose(net(ONE), [[-1.0], [1.0]], rtol=1e-4)
    assert statistics(net) == pytest.approx((0.2, 0.9 + 0.2))
    net(TWO)
    assert statistics(net) == pytest.approx((0.9 * 0.2 + 0.7, 0.9 * 1.1 + 1.8))
    turned = Net(Normed(), FRESH)
    turned(TWO), turned(ONE)
    assert statistics(turned) == pytest.approx((0.9 * 0.7 + 0.2, 0.9 * (0.9 + 1.8) + 0.2))
    assert float(FRESH["batch_stats"]["bn"]["mean"][0]) == 0.0


def test_in_evaluation_mode_nothing_moves():
    variables = {**FRESH, "batch_stats": {"bn": {"mean": jnp.ones(1), "var": jnp.full(1, 4.0)}}}
    net = Net(Normed(), variables, train=False)
    np.testing.assert_allclose(net(ONE), [[0.0], [1.0]], rtol=1e-4)
    np.testing.assert_allclose(net(TWO), [[1.5], [4.5]], rtol=1e-4)
    assert net.state == {}


def test_each_call_draws_another_part_of_the_key():
    def draws(key):
        net = Net(Normed(), FRESH, key)
        return [np.asarray(net(ONE, method="noisy")) for _ in range(2)]

    one, two = draws(jax.random.key(0))
    assert np.abs(one - two).min() > 1e-3
    np.testing.assert_array_equal([one, two], draws(jax.random.key(0)))
    assert np.abs(one - draws(jax.random.key(1))[0]).min() > 1e-3


def test_calls_on_all_rows_do_not_reach_over_the_devices_and_move_the_same_statistics():
    def device(rows):
        net = Net(Normed(axis_name="data"), FRESH)
        over_all = net(rows)
        own = net.on_all_rows()(rows)
        return over_all, own, net.state["batch_stats"]["bn"]["mean"]

    rows = jnp.stack([ONE, TWO])  # of two devices
    over_all, own, mean = jax.vmap(device, axis_name="data")(rows)
    together = rows.reshape(4)
    np.testing.assert_allclose(
        over_all.reshape(4), (together - together.mean()) / together.std(), rtol=1e-4
    )
    np.testing.assert_allclose(own, [[[-1.0], [1.0]]] * 2, rtol=1e-4)
    np.testing.assert_allclose(mean[:, 0], [0.9 * 0.45 + 0.2, 0.9 * 0.45 + 0.7], rtol=1e-5)


def logits(*signs):
    return jnp.array(signs, jnp.float32)


def test_accuracies_of_a_discriminator_with_both_kinds_of_heads():
    judged = {
        "real": Judgement((logits(1, 1, 1, -1),), (logits(1, -1, -1, -1),)),
        "wrong": Judgement((logits(1, 1, 1, -1),), (logits(1, 1, 1, 1),)),
        "fake": Judgement((logits(-1, -1, 1, 1),), (logits(-1, -1, -1, -1),)),
    }
    assert accuracies(judged) == {
        "accuracy_real": 0.75,
        "accuracy_uncond_real": 0.25,
        "accuracy_wrong": 0.25,  # a wrong pair does not fit,
        "accuracy_uncond_wrong": 1.0,  # but its image is real
        "accuracy_fake": 0.5,
        "accuracy_uncond_fake": 1.0,
    }


def test_accuracies_are_the_mean_of_the_scales_and_of_the_only_heads_there_are():
    scales = (logits(1, 1), logits(1, -1))
    assert accuracies({"real": Judgement(fits=scales)}) == {"accuracy_real": 0.75}
    without_text = {"real": Judgement(real=scales), "fake": Judgement(real=scales)}
    assert accuracies(without_text) == {"accuracy_real": 0.75, "accuracy_fake": 0.25}
    assert accuracies({}) == {}


def test_what_a_judgement_answers():
    both = Judgement((ONE,), (ONE,))
    assert both.answers(fits=True, real=True)
    assert Judgement(fits=(ONE,)).answers(fits=True, real=False)
    assert not Judgement(fits=(ONE,)).answers(fits=True, real=True)
    assert not Judgement(real=(ONE,)).answers(fits=True, real=False)


def test_what_the_data_do_not_give_is_named_with_the_field_to_set():
    seen = Seen({types.IMAGES: ONE}, wrong_text=Text(TWO))
    assert seen.of(types.IMAGES) is ONE and seen.wrong_sentence is TWO
    for key, remedy in (
        (types.WRONG_IMAGES, "data.mismatch=image"),
        (types.WRONG_TOKENS, "data.mismatch=caption"),
        (types.TOKENS, "data.captions"),
        (types.LABEL, r"the pipeline gives \['images'\]"),
    ):
        with pytest.raises(ValueError, match=rf"needs batch\['{key}'\].*{remedy}"):
            seen.of(key)
    with pytest.raises(ValueError, match="mismatched captions: set data.mismatch=caption"):
        _ = Seen({}).wrong_sentence


def test_terms_that_are_not_the_weighted_ones_are_refused():
    active = frozenset({"d.real", "d.fake", "g.fake"})
    check_terms("d", {"real": ONE, "fake": ONE}, active)
    check_terms("net", {}, active)
    with pytest.raises(ValueError, match=r"player 'd' .*never computed: \['d.fake'\]"):
        check_terms("d", {"real": ONE}, active)
    with pytest.raises(ValueError, match=r"without a weight: \['g.kl'\].*weighs \['g.fake'\]"):
        check_terms("g", {"fake": ONE, "kl": ONE}, active)
