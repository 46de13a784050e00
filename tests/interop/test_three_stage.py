"""State dicts of the AttnGAN, DM-GAN and DR-GAN releases, with the authors' names and shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.interop import attn_gan, dm_gan, dr_gan

SYSTEMS = {"attn_gan": attn_gan, "dm_gan": dm_gan, "dr_gan": dr_gan}
DEAD = "global_reductionxx."  # of DR-GAN's generator


@pytest.fixture(scope="module")
def golden(golden_dir):
    loaded = {}

    def load(system):
        if system not in loaded:
            path = golden_dir / f"{system}.npz"
            if not path.is_file():
                pytest.skip(f"no {path}")
            with np.load(path) as arrays:
                loaded[system] = dict(arrays)
        return loaded[system]

    return load


def section(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].shape == array.shape, name
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


@pytest.mark.parametrize("system", SYSTEMS)
def test_generators_both_ways_with_their_numbers(system, golden):
    module, arrays = SYSTEMS[system], golden(system)
    state = section(arrays, "G/")
    generator, variables = module.import_generator({f"module.{k}": v for k, v in state.items()})
    fields = {
        "channels": "GF",
        "condition_dim": "Cd",
        "noise_dim": "Z",
        "residual_blocks": "R",
    }
    assert {f: getattr(generator, f) for f in fields} == {
        f: int(arrays[f"config/{k}"]) for f, k in fields.items()
    }
    assert generator.image_sizes == (64, 128, 256)
    live = {k: v for k, v in state.items() if DEAD not in k}
    same(module.export_generator(generator, variables, counts=False), live)
    counted = module.export_generator(generator, variables)
    counters = [k for k in counted if k.endswith("num_batches_tracked")]
    assert len(counters) == sum(k.endswith("running_var") for k in live)
    again, tree = module.import_generator(counted)
    assert again == generator
    same(module.export_generator(again, tree, counts=False), live)


@pytest.mark.parametrize("system", SYSTEMS)
def test_discriminators_both_ways_with_their_numbers(system, golden):
    module, arrays = SYSTEMS[system], golden(system)
    states = [section(arrays, f"D{i}/") for i in range(3)]
    dead = {"h_net2.att.conv_context.weight": np.zeros((2, 8, 1, 1)), "fc.0.weight": np.zeros(1)}
    given = [*states[:2], {**states[2], **(dead if system == "dr_gan" else {})}]
    discriminator, variables = module.import_discriminator(given)
    assert discriminator.channels == int(arrays["config/DF"])
    assert discriminator.image_sizes == (64, 128, 256)
    for found, state in zip(
        module.export_discriminator(discriminator, variables, counts=False), states, strict=True
    ):
        same(found, state)


def exported(module, published):
    """A state dict of the published sizes, of arrays that take no memory."""
    generator = module.RELEASE.generator(**module.RELEASE.fields, **published)
    variables = jax.eval_shape(
        lambda: generator.init(
            jax.random.key(0),
            {k: jnp.zeros((1, *s)) for k, s in generator.noise_shapes.items()},
            jnp.zeros((1, 256)),
            jnp.zeros((1, 1, 256)),
            jnp.ones((1, 1), bool),
            train=False,
        )
    )
    return module.export_generator(generator, empty(variables), counts=False)


def empty(variables):
    return jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), variables)


@pytest.mark.parametrize(
    ("system", "keys", "shapes"),
    [
        ("attn_gan", 82, {"h_net3.residual.1.block.0.weight": (128, 64, 3, 3)}),
        (
            "dm_gan",
            None,
            {
                "h_net2.A.weight": (1, 256),
                "h_net3.M_w.0.weight": (128, 256, 1),
                "h_net2.key.0.weight": (64, 128, 1),
                "h_net3.response_gate.0.weight": (1, 128, 1, 1),
            },
        ),
        (
            "dr_gan",
            236 - 12,
            {
                "img_net3.img.6.weight": (3, 16, 3, 3),
                "h_net2.residual0.1.block.3.weight": (64, 64, 3, 3),
                "h_net3.reduct_demension2.3.weight": (64, 64, 1, 1),
                "h_net2.global_reduction.0.weight": (64, 64, 1, 1),
                "h_net3.img_code_sxx.3.weight": (64, 32, 2, 2),
            },
        ),
    ],
)
def test_published_generators_have_the_releases_names(system, keys, shapes):
    state = exported(SYSTEMS[system], {})
    assert keys in (None, len(state))
    assert {name: state[name].shape for name in shapes} == shapes


@pytest.mark.parametrize(
    ("system", "keys"),
    [("attn_gan", (25, 35, 45)), ("dm_gan", (24, 32, 40)), ("dr_gan", (58, 66, 74))],
)
def test_published_discriminators_have_the_releases_names(system, keys):
    release = SYSTEMS[system].RELEASE
    module = release.discriminator(image_sizes=(64, 128, 256), **release.d_fields)
    variables = jax.eval_shape(
        lambda: module.init(
            jax.random.key(0),
            [jnp.zeros((1, s, s, 3)) for s in module.image_sizes],
            jnp.zeros((1, 256)),
            train=False,
        )
    )
    states = release.export_discriminator(module, empty(variables), counts=False)
    assert tuple(map(len, states)) == keys
    stem = "img_code_s64_1.0" + (".weight" if system == "attn_gan" else ".module.weight_bar")
    width = 2048 if system == "attn_gan" else 1024
    assert states[2][stem].shape == (width // 2, width, 3, 3)


def test_other_files_are_refused_by_the_name_of_what_is_wrong(golden):
    state = section(golden("dm_gan"), "G/")
    with pytest.raises(ValueError, match="not a generator of AttnGAN: h_net2.att.* is missing"):
        attn_gan.import_generator(state)
    with pytest.raises(ValueError, match="not a discriminator of DM-GAN"):
        dm_gan.import_discriminator([state])
    with pytest.raises(ValueError, match="h_net2.extra.weight is unknown"):
        dm_gan.import_generator({**state, "h_net2.extra.weight": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="h_net3.key.0.weight is missing"):
        dm_gan.import_generator({k: v for k, v in state.items() if "h_net3.key" not in k})
    with pytest.raises(ValueError, match="h_net3.key.0.bias is missing"):
        dm_gan.import_generator({k: v for k, v in state.items() if k != "h_net3.key.0.bias"})
    with pytest.raises(ValueError, match=r"h_net2.key.0.bias has shape \(9,\), not \(4,\)"):
        dm_gan.import_generator({**state, "h_net2.key.0.bias": np.zeros(9)})
    with pytest.raises(ValueError, match="h_net2.key.0.bias holds values that are not finite"):
        dm_gan.import_generator({**state, "h_net2.key.0.bias": np.full(4, np.nan)})


def test_discriminators_of_other_systems_and_widths_are_refused(golden):
    states = [section(golden("dm_gan"), f"D{i}/") for i in range(2)]
    with pytest.raises(ValueError, match="not the weights of the discriminator of AttnGAN"):
        attn_gan.import_discriminator(states)
    narrow = {**states[1], "img_code_s16.0.module.weight_bar": np.zeros((1, 3, 4, 4))}
    with pytest.raises(ValueError, match="discriminators of different widths"):
        dm_gan.import_discriminator([states[0], narrow])
    broken = {**states[0], "COND_DNET.jointConv.0.module.weight_u": np.full(16, np.inf)}
    with pytest.raises(ValueError, match="COND_DNET.jointConv.0.module.weight_u holds values"):
        dm_gan.import_discriminator([broken, states[1]])
