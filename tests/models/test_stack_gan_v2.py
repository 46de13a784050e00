"""StackGAN-v2 networks: published parameter counts, starting values, the paper's other trees."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.stack_gan_v2 import Discriminator, Generator


def noise_of(generator, rows=2):
    return {k: jnp.zeros((rows, *shape)) for k, shape in generator.noise_shapes.items()}


def shapes(generator, text_dim=1024):
    """(Generated, variables) as shapes."""
    sentence = jnp.zeros((2, text_dim)) if generator.condition_dim else None
    return jax.eval_shape(
        lambda: generator.init_with_output(
            jax.random.key(0), noise_of(generator), sentence, train=False
        )
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("scales", "conditional", "unconditional"),
    [
        (1, 20_600_768, 15_881_664),
        (2, 21_082_016, 16_330_656),
        (3, 21_239_696, 16_472_208),
        (4, 21_290_792, 16_515_240),
    ],
)
def test_generator_has_the_published_number_of_parameters(scales, conditional, unconditional):
    for condition_dim, expected in ((128, conditional), (0, unconditional)):
        _, variables = shapes(Generator(condition_dim=condition_dim, scales=scales))
        assert count(variables["params"]) == expected
    if scales == 3:
        _, variables = shapes(Generator())
        assert count(variables["batch_stats"]) == 71_104


@pytest.mark.parametrize(
    ("size", "conditional", "unconditional"),
    [
        (64, 5_723_906, 2_765_569),
        (128, 18_834_178, 15_875_841),
        (256, 71_269_122, 68_310_785),
        (512, 280_996_610, 278_038_273),
        (1024, 1_119_881_986, 1_116_923_649),
    ],
)
def test_discriminator_has_the_published_number_of_parameters(size, conditional, unconditional):
    for conditions, expected in (([jnp.zeros((1, 128))], conditional), (None, unconditional)):
        variables = jax.eval_shape(
            lambda images, conditions=conditions: Discriminator(image_sizes=(size,)).init(
                jax.random.key(0), images, conditions, train=False
            ),
            [jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)],
        )
        assert count(variables["params"]) == expected


@pytest.mark.parametrize("scales", [1, 2, 3, 4, 5])
def test_resolutions_follow_from_the_number_of_scales(scales):
    generator = Generator(channels=16, condition_dim=3, noise_dim=4, scales=scales, base_size=8)
    made, variables = shapes(generator, text_dim=5)
    assert generator.image_sizes == tuple(8 * 2**i for i in range(scales))
    assert [x.shape[1] for x in made.images] == list(generator.image_sizes)
    assert {f"stage{i + 1}" for i in range(scales)} <= variables["params"].keys()
    assert made.mu.shape == made.logvar.shape == made.conditions[0].shape == (2, 3)


def test_ablated_trees_emit_what_the_paper_compares():
    full, plain = shapes(Generator())
    for fields, sizes in (
        (dict(heads=(3,)), (256,)),
        (dict(heads=(3,), last_copies=3), (256, 256, 256)),
        (dict(same_size=True), (256, 256, 256)),
    ):
        made, variables = shapes(Generator(**fields))
        assert Generator(**fields).image_sizes == sizes
        assert tuple(x.shape[1] for x in made.images) == sizes
        names = variables["params"].keys()
        if fields == dict(heads=(3,)):
            assert names == plain["params"].keys() - {"image1", "image2"}
        elif "last_copies" in fields:
            assert {"stage3", "stage3_copy1", "stage3_copy2", "image3_copy2"} <= names
        else:  # two more up-blocks at once, none later
            assert {"up5", "up6"} <= variables["params"]["stage1"].keys()
            assert "up" not in variables["params"]["stage2"]
    assert [x.shape[1] for x in full.images] == [64, 128, 256]


@pytest.mark.parametrize("condition_dim", [0, 3])
def test_copies_of_the_last_stage_have_their_own_noise(condition_dim):
    generator = Generator(
        channels=4,
        condition_dim=condition_dim,
        noise_dim=4,
        residual_blocks=1,
        scales=2,
        base_size=8,
        heads=(2,),
        last_copies=2,
    )
    sentence = jax.random.normal(jax.random.key(2), (2, 5)) if condition_dim else None
    noise = {
        k: jax.random.normal(jax.random.key(3), v.shape) for k, v in noise_of(generator).items()
    }
    variables = generator.init(jax.random.key(0), noise, sentence, train=False)
    changed = {**noise, "copies": noise["copies"].at[:, 1].add(1.0)}

    @jax.jit
    def run(noise):
        return generator.apply(variables, noise, sentence, train=False).images

    before, after = run(noise), run(changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])


def test_weights_start_orthogonal_and_biases_as_pytorchs():
    generator = Generator(channels=8, condition_dim=6, noise_dim=4, scales=2, base_size=8)
    noise = noise_of(generator)
    discriminator = Discriminator(channels=8, image_sizes=(64,))

    @jax.jit
    def init():
        key = jax.random.key(0)
        images, conditions = [jnp.zeros((1, 64, 64, 3))], [jnp.zeros((1, 6))]
        return (
            generator.init(key, noise, jnp.zeros((2, 12)), train=False),
            discriminator.init(key, images, conditions, train=False),
        )

    g, d = init()
    for kernel in (
        g["params"]["ca"]["fc"]["kernel"],
        g["params"]["stage1"]["fc"]["kernel"],
        g["params"]["stage2"]["join"]["conv"]["kernel"],
        d["params"]["nets_0"]["trunk"]["block3"]["conv"]["kernel"],
    ):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    logit = d["params"]["nets_0"]["uncond_logit"]["conv"]
    assert 0 < abs(float(logit["bias"][0])) <= (16 * 64) ** -0.5
    scale = g["params"]["stage1"]["bn"]["scale"]
    assert np.std(scale) == pytest.approx(0.02, rel=0.2)


def test_bfloat16_computes_near_float32_with_float32_results():
    generator = Generator(channels=4, condition_dim=3, noise_dim=4, scales=2, base_size=8)
    noise = {
        k: jax.random.normal(jax.random.key(1), v.shape) for k, v in noise_of(generator).items()
    }
    sentence = jax.random.normal(jax.random.key(2), (2, 5))
    half = generator.clone(dtype=jnp.bfloat16)

    @jax.jit
    def run():
        variables = generator.init(jax.random.key(0), noise, sentence, train=False)
        return [m.apply(variables, noise, sentence, train=False) for m in (generator, half)]

    full, halves = run()
    chex.assert_trees_all_equal_shapes_and_dtypes(full, halves)
    chex.assert_tree_all_finite(halves)
    chex.assert_trees_all_close(full, halves, atol=0.1)
    assert {leaf.dtype for leaf in jax.tree.leaves(halves)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(scales=6), "scales must be 1 to 5, got 6"),
        (dict(base_size=48), "base_size must be a power of two >= 8, got 48"),
        (dict(channels=6), "channels=6 cannot be halved for each of scales=3"),
        (dict(heads=(4,)), r"heads=\(4,\) must be ascending stages"),
        (dict(last_copies=0), "last_copies=0"),
    ],
)
def test_impossible_trees_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        shapes(Generator(**fields))


def test_features_then_judge_is_the_whole_pass():
    """In two calls too, each with the running statistics that the one before left."""
    discriminator = Discriminator(channels=2, image_sizes=(8, 16))
    key = jax.random.key(0)
    images = [jax.random.normal(key, (3, size, size, 3)) for size in (8, 16)]
    conditions = [jax.random.normal(jax.random.key(size), (3, 4)) for size in (1, 2)]

    @jax.jit
    def run():
        variables = discriminator.init(key, images, conditions, train=False)

        def apply(state, *args, **kw):
            return discriminator.apply(
                {**variables, **state}, *args, train=True, mutable=["batch_stats"], **kw
            )

        features, state = apply({}, images, method="features")
        parts = apply(state, features, conditions, method="judge")
        return apply({}, images, conditions), parts, apply(state, features, (), method="judge")

    whole, parts, without_text = run()
    chex.assert_trees_all_equal_shapes(whole, parts)
    chex.assert_tree_all_finite(whole)
    chex.assert_trees_all_close(whole, parts, rtol=1e-5)
    (fits, real), _ = whole
    assert [x.shape for x in (*fits, *real)] == 4 * [(3,)]
    assert without_text[0][0] == ()
    chex.assert_trees_all_close(without_text[0][1], real, rtol=1e-5)


def test_inputs_of_other_shapes_are_refused():
    generator = Generator(channels=4, condition_dim=3, noise_dim=4, scales=2, base_size=8)
    noise, sentence = noise_of(generator), jnp.zeros((2, 5))
    discriminator = Discriminator(channels=2, image_sizes=(8,))
    image, condition = jnp.zeros((2, 8, 8, 3)), jnp.zeros((2, 4))
    for module, inputs in (
        (generator, (noise | {"eps": jnp.zeros((2, 1))}, sentence)),
        (generator, (noise | {"z": jnp.zeros((1, 4))}, sentence)),
        (generator, (noise, sentence[:1])),
        (generator, (noise, None)),
        (discriminator, ([image[..., :1]], [condition])),
        (discriminator, ([image], [condition[:1]])),
        (discriminator, ([image], [image])),
    ):
        with pytest.raises(AssertionError, match="but expected|different shapes"):
            jax.eval_shape(lambda m=module, x=inputs: m.init(jax.random.key(0), *x, train=False))


def test_images_of_other_scales_are_refused():
    discriminator = Discriminator(channels=2, image_sizes=(8, 16))
    images = [jnp.zeros((1, 8, 8, 3)), jnp.zeros((1, 16, 16, 3))]

    def init(images):
        return jax.eval_shape(
            lambda: discriminator.init(jax.random.key(0), images, None, train=False)
        )

    assert init(images)
    with pytest.raises(ValueError, match=r"1 images for the scales \(8, 16\)"):
        init(images[:1])
    with pytest.raises(ValueError, match="built for 8 px"):
        init(images[::-1])
    with pytest.raises(ValueError, match=r"1 conditions for the scales \(8, 16\)"):
        jax.eval_shape(
            lambda: discriminator.init(jax.random.key(0), images, [jnp.zeros((1, 4))], train=False)
        )
