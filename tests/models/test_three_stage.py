"""AttnGAN, DM-GAN and DR-GAN: published parameter counts, sizes by config, and what the modules of
DR-GAN do in each of them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models import attn_gan, dm_gan, dr_gan

SYSTEMS = {"attn_gan": attn_gan, "dm_gan": dm_gan, "dr_gan": dr_gan}
SIZES = (64, 128, 256)
TINY = dict(channels=4, condition_dim=3, noise_dim=4, residual_blocks=1, scales=2, base_size=8)
TINY_D = dict(channels=2, condition_dim=3, image_sizes=(8, 16))


def inputs(generator, rows=2, text_dim=5, words=3):
    """(noise, sentence, words, mask), random."""
    keys = iter(jax.random.split(jax.random.key(0), 4))
    noise = {
        k: jax.random.normal(next(keys), (rows, *s)) for k, s in generator.noise_shapes.items()
    }
    sentence = jax.random.normal(next(keys), (rows, text_dim))
    mask = jnp.arange(words) < jnp.asarray([words, 1, 2, words])[:rows, None]
    return noise, sentence, jax.random.normal(next(keys), (rows, words, text_dim)), mask


def pictures(sizes, rows=2):
    keys = jax.random.split(jax.random.key(7), len(sizes))
    return tuple(
        jax.random.uniform(k, (rows, s, s, 3), minval=-1) for k, s in zip(keys, sizes, strict=True)
    )


def started(module, *args):
    """Variables of the module's shapes with random values: no initializers to compile."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *args, train=False))
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1].key == "var":
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        fan_in = int(np.prod(leaf.shape[:-1]))
        return (rng.normal(size=leaf.shape) * fan_in**-0.5).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def count(tree):
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("generator", "expected"),
    [
        (attn_gan.Generator(), 7_084_592),
        (attn_gan.Generator(channels=48, residual_blocks=3), 13_811_456),
        (dm_gan.Generator(), 21_449_042),
        (dm_gan.Generator(residual_blocks=3), 22_335_314),
        # Without the release's 34,304 parameters that nothing depends on.
        (dr_gan.Generator(sdm_form="released"), 22_100_160 - 34_304),
        (dr_gan.Generator(sdm_form="released", residual_blocks=3), 23_208_384 - 34_304),
    ],
)
def test_published_generators(generator, expected):
    args = inputs(generator, text_dim=256)
    variables = jax.eval_shape(
        lambda *args: generator.init(jax.random.key(0), *args, train=False), *args
    )
    assert count(variables["params"]) == expected


@pytest.mark.parametrize(
    ("discriminator", "expected", "singular"),
    [
        (attn_gan.Discriminator(), (6_313_730, 19_424_002, 71_858_946), (0, 0, 0)),
        (
            attn_gan.Discriminator(channels=96),
            (13_304_450, 42_800_258, 160_774_274),
            (0, 0, 0),
        ),
        (dm_gan.Discriminator(), (1_878_242, 5_155_810, 18_264_546), (8_976, 18_448, 37_392)),
        (
            dr_gan.Discriminator(dnm_form="released"),
            (8_492_370, 11_835_474, 25_075_282),
            (8_976, 18_448, 37_392),
        ),
    ],
)
def test_published_discriminators(discriminator, expected, singular):
    module = discriminator.clone(image_sizes=SIZES)
    images = [jax.ShapeDtypeStruct((1, s, s, 3), jnp.float32) for s in SIZES]
    variables = jax.eval_shape(
        lambda images: module.init(jax.random.key(0), images, jnp.zeros((1, 256)), train=False),
        images,
    )
    for i in range(3):
        assert count(variables["params"][f"nets_{i}"]) == expected[i]
        assert count(variables.get("spectral", {}).get(f"nets_{i}", {})) == singular[i]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("scales", [1, 3])
def test_sizes_follow_from_the_fields(system, scales):
    generator = SYSTEMS[system].Generator(**{**TINY, "scales": scales})
    sizes = tuple(8 * 2**i for i in range(scales))
    assert generator.image_sizes == sizes
    args = inputs(generator)
    made, _ = jax.eval_shape(
        lambda *args: generator.init_with_output(
            jax.random.key(0), *args, train=True, real=pictures(sizes)
        ),
        *args,
    )
    assert [x.shape for x in made.images] == [(2, s, s, 3) for s in sizes]
    assert [x.shape for x in made.attention] == [(2, s, s, 3) for s in sizes[:-1]]
    assert made.mu.shape == made.logvar.shape == (2, 3)
    decoded = [x.reconstruction.shape for x in made.disentangled]
    assert decoded == ([(2, s, s, 3) for s in sizes[:-1]] if system == "dr_gan" else [])


@pytest.mark.parametrize(
    ("system", "form"), [("attn_gan", "paper"), ("dm_gan", "released"), ("dr_gan", "paper")]
)
def test_real_images_are_taken_apart_and_change_no_picture(system, form):
    """In every system that takes the module."""
    generator = SYSTEMS[system].Generator(**TINY, sdm=True, sdm_form=form)
    args, real = inputs(generator), pictures(generator.image_sizes)
    variables = started(generator, *args)

    @jax.jit
    def run(real):
        return generator.apply(variables, *args, train=True, real=real, mutable=["batch_stats"])

    made, state = run(real)
    other, _ = run(tuple(-x for x in real))
    jax.tree.map(np.testing.assert_array_equal, made.images, other.images)
    assert jax.eval_shape(run, None)[0].disentangled == ()
    (parts,) = made.disentangled
    assert not np.allclose(parts.features.real, other.disentangled[0].features.real)
    for key, rest in (parts.features.image, parts.features.context):
        whole = np.asarray(key + rest)
        share = (key / np.where(whole == 0, 1, whole))[np.abs(whole) > 1e-3]
        assert np.all((share > 0) & (share < 1)), "a mask is a sigmoid"
    key, rest = parts.features.image
    spread = np.median(np.ptp(key / (key + rest), axis=-1))
    assert (spread < 1e-4) == (form == "paper"), "one mask for all channels is the paper's"
    assert (parts.codes is None) == (form == "paper")
    before = variables["batch_stats"]["stage2"]["sdm"]["real1"]["bn"]["mean"]
    assert not np.allclose(before, state["batch_stats"]["stage2"]["sdm"]["real1"]["bn"]["mean"])


def test_real_images_are_decoded_by_the_head_of_the_stage_before():
    generator = dr_gan.Generator(**TINY)
    args, real = inputs(generator), pictures(generator.image_sizes)
    variables = started(generator, *args)

    @jax.jit
    @jax.grad
    def slopes(params):
        made, _ = generator.apply(
            {**variables, "params": params}, *args, train=True, real=real, mutable=["batch_stats"]
        )
        return jnp.sum(jnp.square(made.disentangled[0].reconstruction))

    grads = slopes(variables["params"])
    reached = {k for k, v in grads.items() if any(np.any(x) for x in jax.tree.leaves(v))}
    assert reached == {"image1", "stage2"}
    inside = {
        k for k, v in grads["stage2"]["sdm"].items() if any(np.any(x) for x in jax.tree.leaves(v))
    }
    assert inside == {"real1", "real2"}


@pytest.mark.parametrize(
    ("fields", "depends"),
    [
        (dict(sdm_form="paper"), False),
        (dict(sdm_form="released"), True),
        (dict(sdm_form="released", sdm_mask_scale=1 / 64), False),
        (dict(sdm_form="paper", mask_order="tiled"), True),
    ],
)
def test_a_sample_depends_on_its_neighbours_in_the_released_forms_alone(fields, depends):
    generator = dr_gan.Generator(**TINY, **fields)
    args = inputs(generator, rows=4)
    variables = started(generator, *args)
    run = jax.jit(lambda args: generator.apply(variables, *args, train=False).images[-1])
    four, two = run(args), run(jax.tree.map(lambda x: x[:2], args))
    assert np.allclose(four[:2], two, atol=1e-5) != depends


@pytest.mark.parametrize(("system", "form"), [("attn_gan", "paper"), ("dm_gan", "released")])
def test_discriminators_reconstruct_images(system, form):
    """In every system that takes the module."""
    module = SYSTEMS[system].Discriminator(**TINY_D, dnm=True, dnm_form=form)
    images, sentence = pictures(module.image_sizes), jnp.ones((2, 5))
    variables = started(module, images, sentence)
    noise = 3 * jax.random.normal(jax.random.key(3), (2, *module.noise_shapes["dnm"]))

    @jax.jit
    def run(noise, sentence):
        features = module.apply(variables, images, train=False, method="features")
        return module.apply(variables, features, sentence, noise, train=False, method="reconstruct")

    made, other = run(noise, sentence), run(noise, -sentence)
    sizes = module.image_sizes if form == "paper" else (8, 8)
    assert [x.image.shape for x in made] == [(2, s, s, 3) for s in sizes]
    low = min(float(jnp.min(x.image / jnp.max(jnp.abs(x.image)))) for x in made)
    assert low < -0.3 if form == "paper" else -0.3 < low < 0, "tanh has no smaller negative side"
    for a, b in zip(made, other, strict=True):
        np.testing.assert_array_equal(a.mu, b.mu)
        assert not np.allclose(a.image, b.image), "the decoder sees the sentence"


@pytest.mark.parametrize("system", ["attn_gan", "dm_gan"])
def test_features_then_heads_are_the_whole_discriminator(system):
    module = SYSTEMS[system].Discriminator(**TINY_D)
    images, sentence = pictures(module.image_sizes), jnp.ones((2, 5))
    variables = started(module, images, sentence)

    @jax.jit
    def run():
        features = module.apply(variables, images, train=False, method="features")
        fits, real = module.apply(variables, features, sentence, train=False, method="judge")
        other, same = module.apply(variables, features, -sentence, train=False, method="judge")
        return module.apply(variables, images, sentence, train=False), (fits, real), (other, same)

    whole, parts, changed = run()
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert all(x.shape == (2,) for x in jax.tree.leaves(whole))
    jax.tree.map(np.testing.assert_array_equal, parts[1], changed[1])
    assert not np.allclose(parts[0][0], changed[0][0]), "only one question is about the sentence"


@pytest.mark.parametrize("system", ["dm_gan", "dr_gan"])
def test_bfloat16_computes_near_float32_with_float32_results(system):
    generator = SYSTEMS[system].Generator(**TINY)
    args, real = inputs(generator), pictures(generator.image_sizes)
    variables = started(generator, *args)
    half = generator.clone(dtype=jnp.bfloat16)

    @jax.jit
    def run():
        return [m.apply(variables, *args, train=False, real=real) for m in (generator, half)]

    full, halves = run()
    assert all(x.dtype == jnp.float32 for x in (*halves.images, *halves.attention, halves.mu))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, np.float32(b), atol=0.15), full, halves)


def test_biases_start_as_pytorchs_and_kernels_orthogonal():
    generator = dm_gan.Generator(**{**TINY, "channels": 8})
    args = inputs(generator)
    variables = jax.jit(lambda: generator.init(jax.random.key(0), *args, train=False))()
    stage = variables["params"]["stage2"]
    assert 0 < np.max(np.abs(stage["write_image"]["bias"])) <= 8**-0.5
    kernel = stage["write_image"]["kernel"]
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(scales=0), "scales must be at least 1, got 0"),
        (dict(base_size=12), "base_size must be a power of two >= 8, got 12"),
        (dict(mask_order="each"), "mask_order must be one of .*, got 'each'"),
        (dict(sdm_form="code"), "sdm_form must be one of .*, got 'code'"),
    ],
)
def test_impossible_generators_are_refused(fields, message):
    generator = dr_gan.Generator(**{**TINY, **fields})
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: started(generator, *inputs(generator)))


def test_impossible_discriminators_are_refused():
    images, sentence = pictures((8, 16)), jnp.ones((2, 5))

    def init(module, images=images, sentence=sentence):
        return jax.eval_shape(lambda: module.init(jax.random.key(0), images, sentence, train=False))

    with pytest.raises(ValueError, match="norm must be one of .*, got 'group'"):
        init(attn_gan.Discriminator(**TINY_D, norm="group"))
    with pytest.raises(ValueError, match="dnm_form must be one of .*, got 'code'"):
        init(dr_gan.Discriminator(**TINY_D, dnm_form="code"))
    with pytest.raises(ValueError, match=r"1 images for the scales \(8, 16\)"):
        init(attn_gan.Discriminator(**TINY_D), images[:1])
    with pytest.raises(ValueError, match="built for 8 px"):
        init(attn_gan.Discriminator(**TINY_D), images[::-1])
    with pytest.raises(AssertionError):
        init(attn_gan.Discriminator(**TINY_D), sentence=sentence[:1])
    module = attn_gan.Discriminator(**TINY_D)
    with pytest.raises(ValueError, match="set discriminator.dnm=True"):
        module.apply({}, (), sentence, sentence, train=False, method="reconstruct")
