"""State dicts of the RAT-GAN release, with the authors' own names and shapes."""

import numpy as np
import pytest

from t2i_jax.interop.rat_gan import (
    discriminator_layout,
    export_discriminator,
    export_generator,
    generator_layout,
    import_discriminator,
    import_generator,
)
from t2i_jax.models.rat_gan import Discriminator, Generator


def section(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "rat_gan.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def g_state(golden):
    return section(golden, "G/")


@pytest.fixture(scope="module")
def d_states(golden):
    plain = section(golden, "D/")
    trunk = {k: v for k, v in plain.items() if not k.startswith("COND_DNET")}
    return {"none": plain, "softmax": trunk | section(golden, "DA/")}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("affines", [4, 6])
def test_generator_both_ways_with_its_numbers(g_state, affines):
    copies = {
        f"block{i}.lstm.{k}": v for i in range(7) for k, v in section(g_state, "lstm.").items()
    }
    published = {f"module.{k}": v for k, v in (g_state | copies).items()}
    generator, variables = import_generator(published, affines)
    assert generator == Generator(2, 256, 12, 16, affines)

    exported = export_generator(generator, variables)
    assert exported.keys() == {name.removeprefix("module.") for name in published}
    dead = {k for k in g_state if "fea_l" in k}
    dead |= {k for k in g_state if "affine4" in k or "affine5" in k} if affines == 4 else set()
    for name, array in exported.items():
        assert array.shape == published[f"module.{name}"].shape
        expected = 0.0 if name in dead else published[f"module.{name}"]
        np.testing.assert_array_equal(array, expected, err_msg=name)
    # Nothing is lost where the dead parameters never were.
    again, tree = import_generator({k: v for k, v in g_state.items() if k not in dead}, affines)
    assert again == generator
    same(export_generator(again, tree), exported)


@pytest.mark.parametrize("attention", ["none", "softmax"])
def test_discriminator_both_ways_with_its_numbers(d_states, attention):
    state = d_states[attention]
    module, variables = import_discriminator(state)
    assert module == Discriminator(2, 256, attention)
    dead = {f"block{i}.conv_s.{field}" for i in (4, 5) for field in ("weight", "bias")}
    if attention == "softmax":
        dead |= {k for k in state if k.startswith("block5.")}
        other, _ = import_discriminator(state, attention="soft_threshold")
        assert other.attention == "soft_threshold"
    exported = export_discriminator(module, variables)
    same(exported, {k: v * (k not in dead) for k, v in state.items()})
    again, tree = import_discriminator(exported, attention)
    assert again == module
    same(export_discriminator(again, tree), exported)


def test_published_files_have_these_numbers_of_tensors():
    def tensors(layout):
        return sum(map(len, layout))

    for affines in (4, 6):
        assert tensors(generator_layout(Generator(affines=affines), 256)) == 465
    assert tensors(discriminator_layout(Discriminator(attention="none"), 256)) == 34
    assert tensors(discriminator_layout(Discriminator(), 256)) == 41


def test_every_array_is_checked(g_state, d_states):
    with pytest.raises(ValueError, match="not a generator of RAT-GAN: lstm.W is missing"):
        import_generator(d_states["none"])
    with pytest.raises(ValueError, match="not a discriminator of RAT-GAN"):
        import_discriminator(g_state)
    broken = {
        "block3.c1.bias": np.full(16, np.nan, np.float32),
        "block3.fea_l.bias": np.zeros(3, np.float32),
        "block9.c1.bias": np.zeros(3, np.float32),
        "block3.gamma": None,
        "block0.lstm.bias": np.zeros(64, np.float32),
    }
    messages = {
        "block3.c1.bias": "block3.c1.bias holds values that are not finite",
        "block3.fea_l.bias": r"block3.fea_l.bias has shape \(3,\), not \(16,\)",
        "block9.c1.bias": "block9.c1.bias is unknown",
        "block3.gamma": "block3.gamma is missing",
        "block0.lstm.bias": "block0.lstm.bias is a copy of lstm.bias .* it differs",
    }
    for name, array in broken.items():
        state = {k: v for k, v in (g_state | {name: array}).items() if v is not None}
        with pytest.raises(ValueError, match=messages[name]):
            import_generator(state)


def test_what_the_release_lacks_is_not_exported(g_state, d_states):
    generator, variables = import_generator(g_state)
    with pytest.raises(ValueError, match="affines=4 or 6"):
        export_generator(generator.clone(affines=2), variables)
    tree = {"params": {"decoder": variables["params"]["decoder"]}}
    with pytest.raises(ValueError, match="recurrent=True"):
        export_generator(generator.clone(recurrent=False), tree)
    module, variables = import_discriminator(d_states["none"])
    params = variables["params"] | {"real": variables["params"]["fits"]}
    with pytest.raises(ValueError, match="no such parameters: real/conv1/kernel"):
        export_discriminator(module.clone(two_way=True), {"params": params})
