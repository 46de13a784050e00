"""The objective of DF-GAN and RAT-GAN: terms, mismatched pairs, both outputs, updates.

Golden numbers and whole iterations: tests/parity; several devices: tests/test_configs.py.
"""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recipes.gan_passes import close, run
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.drawing import drawer
from t2i_jax.models import df_gan as df_models
from t2i_jax.models import rat_gan as rat_models
from t2i_jax.recipes import df_gan, rat_gan
from t2i_jax.recipes.terms import Seen
from t2i_jax.types import Text

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
ROWS, KEY = 8, jax.random.key(3)
TINY = {"channels": 2, "image_size": 16, "noise_dim": 4}
HINGES = frozenset({"d.real", "d.wrong", "d.fake", "g.fake"})
ALONE = frozenset({"d.uncond_real", "d.uncond_fake", "g.uncond_fake"})


def make(system="df_gan", active=HINGES, two_way=False, **fields):
    if system == "df_gan":
        models, recipe, more = df_models, df_gan.Recipe, {}
    else:
        models, recipe, more = rat_models, rat_gan.Recipe, {"state_dim": 6}
    return recipe(
        generator=models.Generator(**TINY, **more),
        discriminator=models.Discriminator(channels=2, image_size=16, two_way=two_way),
        active=active,
        **fields,
    )


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (ROWS, 16, 16, 3)).astype(np.float32)
    texts = [Text(rng.normal(size=(ROWS, 5)).astype(np.float32)) for _ in range(2)]
    return Seen({types.IMAGES: images}, *texts)


def variables_of(recipe, seen):
    """Without the zeros of fresh networks, so that every part counts."""
    fresh = jax.jit(recipe.init)(jax.random.key(1), seen)
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape).astype(np.float32), fresh)


def positive(x):
    return np.maximum(x, 0).mean()


def test_terms_are_hinges_of_the_pairs_by_definition(seen):
    """Of all kinds of mismatched pairs, and of both outputs."""
    recipe = make(active=HINGES | ALONE, two_way=True)
    variables = variables_of(recipe, seen)
    recipes = {m: dataclasses.replace(recipe, mismatch=m) for m in ("shift", "roll", "caption")}

    @jax.jit
    def compute(variables):
        passes = run(recipe, variables, seen, KEY)
        found = {m: r.d_terms(variables["d"], seen, passes.out, KEY) for m, r in recipes.items()}
        terms = {m: t.losses for m, t in found.items()}
        return passes.out["images"][0], terms, found["roll"].metrics, passes.g.losses

    fake, found, metrics, of_g = compute(variables)
    ask = jax.jit(
        lambda images, s: recipe.discriminator.apply(variables["d"], images, s, train=True)
    )
    images, sentence = seen.batch[types.IMAGES], seen.text.sentence
    (real, alone), (fakes, fakes_alone) = (ask(x, sentence) for x in (images, fake))
    rows = np.arange(ROWS)
    wrong = {  # image i with which sentence
        "shift": ask(images[:-1], sentence[1:])[0],
        "roll": ask(images[(rows + 1) % ROWS], sentence)[0],
        "caption": ask(images, seen.wrong_text.sentence)[0],
    }
    for mismatch, losses in found.items():
        expected = {
            "real": positive(1 - real),
            "fake": positive(1 + fakes),
            "wrong": positive(1 + wrong[mismatch]),
            "uncond_real": positive(1 - alone["real"]),
            "uncond_fake": positive(1 + fakes_alone["real"]),
        }
        close(losses, expected)
    close(of_g, {"fake": -fakes.mean(), "uncond_fake": -fakes_alone["real"].mean()})
    close(metrics["accuracy_wrong"], np.mean(wrong["roll"] < 0))


def test_updates_of_the_systems(seen):
    """RAT-GAN takes the penalty in an update of its own, after the hinges; DF-GAN of 2022 in the
    same; without a weight there is none.
    """
    penalised = HINGES | {"d.ma_gp"}
    updates = {"rat_gan": ["d_update", "penalties"], "df_gan": ["d_update"]}
    for system, names in updates.items():
        assert [f.__name__ for f in make(system, penalised).d_updates] == names
        assert [f.__name__ for f in make(system).d_updates] == ["d_update"]
    recipe = make("rat_gan", penalised)
    like = jax.eval_shape(recipe.init, KEY, seen)
    out = {"images": (seen.batch[types.IMAGES],)}
    terms = [set(jax.eval_shape(f, like["d"], seen, out, KEY).losses) for f in recipe.d_updates]
    assert terms == [{"real", "wrong", "fake"}, {"ma_gp"}]


def test_what_is_not_weighted_is_not_computed(seen):
    for active in (HINGES, ALONE, frozenset({"d.wrong", "g.fake"})):
        recipe = make(active=active, two_way=True)
        like = jax.eval_shape(recipe.init, KEY, seen)
        passes = jax.eval_shape(lambda v, r=recipe: run(r, v, seen, KEY), like)
        for player, terms in (("d", passes.d), ("g", passes.g)):
            names = {f"{player}.{name}" for name in terms.losses}
            assert names == {name for name in active if name.startswith(player)}


def test_only_a_discriminator_that_attends_is_kept_and_shown(seen):
    attends, plain = make("rat_gan"), make("rat_gan")
    plain = dataclasses.replace(plain, discriminator=plain.discriminator.clone(attention="none"))
    out = {"images": (jnp.asarray(seen.batch[types.IMAGES]),)}
    assert attends.kept == ("d",) and plain.kept == () and make("df_gan").kept == ()
    variables = variables_of(attends, seen)
    found = attends.examine(variables, seen, out)
    expected = attends.discriminator.apply(variables["d"], *out["images"], seen.text[0], train=True)
    close(found, {"attention": expected[1]["attention"]})
    assert attends.examine({"g": variables["g"]}, seen, out) == {}  # a generator alone
    assert plain.examine(variables, seen, out) == {}


def test_a_generator_alone_says_what_would_show_its_attention(seen):
    recipe = make("rat_gan")
    g = jax.eval_shape(recipe.init, KEY, seen)["g"]
    networks, drawn = {"params": {"g": g["params"]}, "stats": {}}, drawer.Drawer(recipe, None)
    images = np.zeros((ROWS, 16, 16, 3), np.uint8)
    noise = {"z": jnp.zeros((ROWS, 4))}
    with pytest.raises(ValueError, match="no 'attention'; the run lacks .*with --discrim"):
        drawn.examined(networks, seen.text, noise, ["attention"])
    with pytest.raises(ValueError, match="lacks .* import it with --discriminator"):
        drawn.given(networks, seen.text, images, ["attention"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mismatch": "text"}, "mismatch must be one of .*, got 'text'"),
        ({"penalty_update": "first"}, "penalty_update must be one of .*, got 'first'"),
        ({"active": HINGES | ALONE}, r"\['d.uncond_real', .*\] need discriminator.two_way=True"),
        (
            {"generator": rat_models.Generator(image_size=32)},
            "discriminator.image_size=16, but the generator makes 32 px",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make("rat_gan"), **change)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_networks_of_two_versions_of_df_gan_are_not_trained_together(player, seen):
    recipe = make()
    other = dataclasses.replace(recipe, **{player: getattr(recipe, player).clone(version="2020")})
    with pytest.raises(ValueError, match="generator.version='20.*, but discriminator.version='20"):
        other.check(seen)
    recipe.check(seen)


@pytest.mark.parametrize("mismatch", ["shift", "roll"])
def test_one_row_has_no_mismatched_pair(mismatch, seen):
    one = jax.tree.map(lambda x: x[:1], seen)
    recipe = make(mismatch=mismatch)
    like = jax.eval_shape(recipe.init, KEY, one)
    with pytest.raises(ValueError, match="data.batch to 2 or more"):
        jax.eval_shape(lambda v: run(recipe, v, one, KEY), like)


@pytest.mark.parametrize("arg", ["toy_birds", "toy_birds_released_2020", "cub_released_2020"])
def test_configs_bring_the_mismatched_captions_that_are_read(arg):
    config = configs.load(f"{CONFIGS}/df_gan.py:{arg}")
    assert (config.data.mismatch == "caption") == (config.recipe.mismatch == "caption")


def test_mismatched_captions_are_asked_for(seen):
    recipe = make(mismatch="caption")
    like = jax.eval_shape(recipe.init, KEY, seen)
    with pytest.raises(ValueError, match="data.mismatch=caption"):
        jax.eval_shape(lambda v: run(recipe, v, seen._replace(wrong_text=None), KEY), like)
