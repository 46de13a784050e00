"""RAT-GAN networks: published parameter counts, what they start as, the ablations' switches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.affine_nets import IMAGES, NOISE, SENTENCE, count, random_variables, run, shapes
from t2i_jax.models import affine_blocks, df_gan
from t2i_jax.models.convolutions import upsample_nearest
from t2i_jax.models.layers import leaky_relu
from t2i_jax.models.rat_gan import ATTENTIONS, Discriminator, Generator

SMALL = dict(channels=2, image_size=16, noise_dim=4, state_dim=6)


def test_networks_have_the_published_number_of_parameters():
    """As instantiated by the release, less what it never uses."""
    for channels, four, six in ((32, 12_817_034, 16_057_290), (64, 32_057_098, 36_695_434)):
        assert count(Generator(channels)) == four
        assert count(Generator(channels, affines=6)) == six
    assert count(Discriminator(32, attention="none")) == 20_170_566 - 525_312
    assert count(Discriminator(attention="none")) == 80_379_526 - 2_099_200
    # Without the trunk's sixth block and the shortcut of the fifth.
    for channels, published in ((32, 29_657_479), (64, 113_574_663)):
        square = (16 * channels) ** 2
        block = square * (16 + 9) + square + 16 * channels + 1
        assert count(Discriminator(channels)) == published - block - (square + 16 * channels)
    controller = shapes(Generator(32))["params"]["controller"]
    assert sum(leaf.size for leaf in jax.tree.leaves(controller)) == 577_024


@pytest.mark.parametrize(("affines", "steps"), [(4, 28), (6, 42)])
def test_the_cell_is_stepped_before_every_affine_layer(affines, steps):
    generator = Generator(affines=affines)
    variables = shapes(generator)
    program = jax.make_jaxpr(
        lambda v: generator.apply(v, {"z": jnp.zeros((1, 100))}, jnp.zeros((1, 256)), train=True)
    )(variables)
    scans = [eqn for eqn in program.jaxpr.eqns if eqn.primitive.name == "scan"]
    assert [eqn.params["length"] for eqn in scans] == [steps]


def test_without_recurrence_it_is_df_gan_of_2020():
    plain = Generator(**SMALL, recurrent=False)
    other = df_gan.Generator(
        channels=2, image_size=16, noise_dim=4, version="2020", affine_dim=SMALL["state_dim"]
    )
    variables = random_variables(plain, NOISE, SENTENCE)
    images = [run(m, variables, NOISE, SENTENCE)[0] for m in (plain, other)]
    np.testing.assert_array_equal(*images)
    judge = Discriminator(channels=2, image_size=16, attention="none")
    variables = random_variables(judge, IMAGES, SENTENCE)
    other = df_gan.Discriminator(channels=2, image_size=16, version="2020")
    logits = [run(m, variables, IMAGES, SENTENCE)[0] for m in (judge, other)]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("recurrent", [True, False])
def test_a_fresh_generator_does_not_see_the_sentence_yet(recurrent):
    generator = Generator(**SMALL, recurrent=recurrent)
    variables = jax.jit(lambda: generator.init(jax.random.key(0), NOISE, SENTENCE, train=False))()
    for tree, differs in (
        (variables, False),
        (random_variables(generator, NOISE, SENTENCE), True),
    ):
        images = [run(generator, tree, NOISE, s)[0] for s in (SENTENCE, SENTENCE[[1, 2, 0]])]
        assert images[0].shape == (3, 16, 16, 3) and images[0].dtype == jnp.float32
        assert np.abs(images[0]).max() <= 1.0
        assert np.any(images[0] != images[1]) == differs


def test_layers_start_as_pytorchs():
    generator = Generator(channels=8, image_size=16, noise_dim=25, state_dim=16)
    noise = {"z": jnp.zeros((1, 25))}
    variables = jax.jit(
        lambda: generator.init(jax.random.key(0), noise, jnp.zeros((1, 9)), train=False)
    )()
    cell, decoder = (variables["params"][name] for name in ("controller", "decoder"))
    bounds = {
        1 / 4: [cell["sentence"], cell["hidden"], cell["bias"]],
        1 / 5: [cell["first_cell"]["kernel"], cell["first_hidden"]["bias"], decoder["fc"]["bias"]],
        72**-0.5: [decoder["image"]["kernel"]],
        256**-0.5: [decoder["block1"]["fuse1"]["kernel1"], decoder["block1"]["fuse2"]["bias1"]],
    }
    bounds[1 / 4] += bounds.pop(256**-0.5)  # 1 / sqrt(state_dim), not of the whole stack
    for bound, arrays in bounds.items():
        for array in arrays:
            assert 0.8 * bound < np.abs(array).max() <= bound
    for fusion in (decoder["block0"]["fuse1"], decoder["block2"]["fuse2"]):
        assert not np.any(fusion["kernel2"])
        assert np.all(fusion["bias2"][:, 0] == 1.0) and not np.any(fusion["bias2"][:, 1])
    assert not np.any(decoder["block0"]["gate"])


def test_blocks_on_the_small_side_are_the_blocks_by_definition():
    x = jnp.asarray(np.random.default_rng(4).normal(size=(3, 4, 4, 6)), jnp.float32)
    conditions = jnp.broadcast_to(SENTENCE, (4, 3, 5)) * jnp.arange(1.0, 5.0)[:, None, None]
    block = affine_blocks.UpBlock(features=2, gated=True, hidden=7)
    init = jax.jit(lambda: block.init(jax.random.key(0), x, conditions))
    variables = jax.tree.map(lambda leaf: leaf + 0.1, init())

    def conv(x, layer, **kw):
        y = jax.lax.conv_general_dilated(
            x, layer["kernel"], dimension_numbers=("NHWC", "HWIO", "NHWC"), **kw
        )
        return y + layer.get("bias", 0.0)

    def fuse(x, fusion, conditions):
        for i, condition in enumerate(conditions):
            scale, shift = (
                jax.nn.relu(condition @ fusion["kernel1"][i, j] + fusion["bias1"][i, j])
                @ fusion["kernel2"][i, j]
                + fusion["bias2"][i, j]
                for j in (0, 1)
            )
            x = leaky_relu(scale[:, None, None] * x + shift[:, None, None])
        return x

    same = dict(window_strides=(1, 1), padding="SAME")
    up = upsample_nearest(x)

    @jax.jit
    def up_by_definition(p):
        h = conv(fuse(up, p["fuse1"], conditions[:2]), p["conv1"], **same)
        h = conv(fuse(h, p["fuse2"], conditions[2:]), p["conv2"], **same)
        return conv(up, p["shortcut"], **same) + p["gate"] * h

    found = jax.jit(block.apply)(variables, x, conditions)
    np.testing.assert_allclose(found, up_by_definition(variables["params"]), atol=1e-5)

    @jax.jit
    def down_by_definition(p):
        h = leaky_relu(conv(up, p["conv1"], window_strides=(2, 2), padding=((1, 1), (1, 1))))
        h = leaky_relu(conv(h, p["conv2"], **same))
        pooled = conv(up, p["shortcut"], **same).reshape(3, 4, 2, 4, 2, 3).mean((2, 4))
        return pooled + p["gate"] * h

    down = affine_blocks.DownBlock(features=3)
    init = jax.jit(lambda: down.init(jax.random.key(1), up))
    variables = jax.tree.map(lambda leaf: leaf + 0.1, init())
    found = jax.jit(down.apply)(variables, up)
    np.testing.assert_allclose(found, down_by_definition(variables["params"]), atol=1e-5)


def test_attention_weighs_the_positions():
    for attention in ("soft_threshold", "softmax"):
        discriminator = Discriminator(channels=2, image_size=16, attention=attention)
        variables = random_variables(discriminator, IMAGES, SENTENCE)
        # Scores that saturate the sigmoids.
        head = variables["params"]["fits"]["attend2"]
        head["kernel"] = 300.0 * head["kernel"]
        logits, extras = run(discriminator, variables, IMAGES, SENTENCE)
        weights = extras["attention"]
        assert logits.shape == (3,) and weights.shape == (3, 8, 8)
        np.testing.assert_allclose(weights.sum((1, 2)), 1.0, rtol=1e-5)
        ratio = weights.max((1, 2)) / weights.min((1, 2))
        if attention == "softmax":
            assert np.all(ratio <= np.e + 1e-4)
        else:
            assert np.all(ratio > 10.0) and np.isfinite(weights).all()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_two_way_output_has_a_head_without_text(attention):
    discriminator = Discriminator(channels=2, image_size=16, attention=attention, two_way=True)
    variables = random_variables(discriminator, IMAGES, SENTENCE)
    answers = [run(discriminator, variables, (IMAGES,), s) for s in (SENTENCE, SENTENCE[[1, 2, 0]])]
    (logits, extras), (other_logits, other_extras) = answers
    assert not np.any(logits == other_logits)
    np.testing.assert_array_equal(extras["real"], other_extras["real"])
    assert extras["real"].shape == (3,)
    nothing, alone = run(discriminator, variables, IMAGES, None)
    assert nothing is None and alone.keys() == {"real"}
    np.testing.assert_array_equal(alone["real"], extras["real"])


def test_bfloat16_computes_near_float32_with_float32_results():
    generator = Generator(**SMALL)
    discriminator = Discriminator(channels=2, image_size=16)
    g_vars = random_variables(generator, NOISE, SENTENCE)
    d_vars = random_variables(discriminator, IMAGES, SENTENCE)

    results = [
        (
            run(generator.clone(dtype=dtype), g_vars, NOISE, SENTENCE),
            run(discriminator.clone(dtype=dtype), d_vars, IMAGES, SENTENCE),
        )
        for dtype in (jnp.float32, jnp.bfloat16)
    ]
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        assert b.dtype == jnp.float32
        np.testing.assert_allclose(a, b, atol=0.05 * np.abs(a).max())


@pytest.mark.parametrize("module", [Generator(**SMALL), Discriminator(channels=2, image_size=16)])
def test_remat_keeps_fewer_maps_for_the_same_gradients(module):
    inputs = (NOISE if isinstance(module, Generator) else IMAGES), SENTENCE
    variables = random_variables(module, *inputs)
    again = module.clone(remat=True)

    def total(module, variables):
        return jnp.sum(jnp.square(module.apply(variables, *inputs, train=True)[0]))

    both = jax.jit(lambda v: [jax.grad(total, argnums=1)(m, v) for m in (module, again)])
    plain, found = both(variables)
    for a, b in zip(*map(jax.tree.leaves, (plain, found)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())

    assert kept(again.clone(image_size=64)) < 0.6 * kept(module.clone(image_size=64))


def kept(module):
    """Numbers beside the parameters that the forward pass keeps for the backward pass."""
    images, variables = jnp.zeros((3, *[module.image_size] * 2, 3)), shapes(module, 5)
    first = NOISE if isinstance(module, Generator) else images

    def pull(variables):
        return jax.vjp(lambda v: module.apply(v, first, SENTENCE, train=True)[0], variables)[1]

    all_of_it, parameters = (
        sum(x.size for x in jax.tree.leaves(tree))
        for tree in (jax.eval_shape(pull, variables), variables)
    )
    return all_of_it - parameters


@pytest.mark.parametrize("size", [8, 16, 32])
def test_any_power_of_two(size):
    generator = Generator(channels=2, image_size=size, noise_dim=4, state_dim=3)
    made = jax.eval_shape(
        lambda: generator.init_with_output(jax.random.key(0), NOISE, SENTENCE, train=False)
    )
    assert generator.image_sizes == (size,) and made[0][0].shape == (3, size, size, 3)
    assert shapes(Discriminator(channels=2, image_size=size, attention="none"), 5)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Generator(image_size=48), "image_size must be a power of two >= 8, got 48"),
        (Generator(affines=3), "affines must be an even number >= 2, got 3"),
        (Discriminator(image_size=8), "image_size must be at least 16, got 8"),
        (Discriminator(attention="hard"), r"attention must be one of .*, got 'hard'"),
    ],
)
def test_impossible_fields_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        shapes(module)


def test_inputs_of_other_shapes_are_refused():
    discriminator = Discriminator(channels=2, image_size=16)

    def init(images, sentence):
        return jax.eval_shape(
            lambda: discriminator.init(jax.random.key(0), images, sentence, train=False)
        )

    with pytest.raises(ValueError, match="built for 16 px"):
        init(IMAGES[:, :8, :8], SENTENCE)
    with pytest.raises(ValueError, match="2 scales of images"):
        init((IMAGES, IMAGES), SENTENCE)
    with pytest.raises(AssertionError):
        init(IMAGES, SENTENCE[:2])
    with pytest.raises(AssertionError):
        Generator(**SMALL).init(jax.random.key(0), NOISE, SENTENCE[:2], train=False)
