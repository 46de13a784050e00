"""XMC-GAN's networks: sizes, forms, what is refused (golden numbers: tests/parity)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.interop.xmc_gan import RELEASED
from t2i_jax.models.xmc_gan import Discriminator, Generator

KEY = jax.random.key(0)
PAPER = {name: getattr(Generator(), name) for name in RELEASED}


def generated(module, train=False, width=12, tokens=3):
    """Shapes of (what it makes, its variables)."""
    noise = {"z": jnp.zeros((2, module.noise_dim))}
    text = jnp.zeros((2, width)), jnp.zeros((2, tokens, width)), jnp.ones((2, tokens), bool)
    return jax.eval_shape(
        lambda: module.init_with_output(KEY, noise, *text, train=train),
    )


def size(tree):
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def judged(module, width=12):
    images = jnp.zeros((2, module.image_size, module.image_size, 3))
    return jax.eval_shape(
        lambda: module.init_with_output(KEY, images, jnp.zeros((2, width)), width, train=False)
    )


@pytest.mark.parametrize(
    ("side", "g", "statistics", "d", "vectors"),
    [(128, 78_507_779, 14_976, 87_911_713, 14_305), (256, 92_865_539, 18_048, 99_415_585, 16_609)],
)
def test_the_release_has_as_many_parameters(side, g, statistics, d, vectors):
    _, variables = generated(Generator(image_size=side, **RELEASED), width=768)
    assert (size(variables["params"]), size(variables["batch_stats"])) == (g, statistics)
    _, variables = judged(Discriminator(image_size=side), width=768)
    u = {k: x for k, x in jax.tree_util.tree_leaves_with_path(variables["spectral"])}
    u = [x for path, x in u.items() if path[-1].key == "u"]
    assert (size(variables["params"]), size(u)) == (d, vectors)


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_sizes(side):
    made, _ = generated(Generator(channels=2, image_size=side, noise_dim=4))
    assert made.images[0].shape == (2, side, side, 3)
    # The blocks above 16x16 attend, where their second norms are.
    sides = [s for s in (32, 64, 128, 256) if 32 < s <= side]
    assert [x.shape for x in made.attention] == [(2, s, s, 3) for s in sides]
    (logits, encoded), _ = judged(Discriminator(channels=2, image_size=side))
    assert logits.shape == (2,) and encoded.regions.shape == (2, 256, 12)
    assert encoded.image.shape == encoded.sentence.shape


@pytest.mark.parametrize("form", [PAPER, RELEASED], ids=["paper", "release"])
@pytest.mark.parametrize("name", RELEASED)
def test_forms_combine(form, name):
    """Each form with one field of the other."""
    other = RELEASED if form is PAPER else PAPER
    fields = {**form, name: other[name]}
    made, variables = generated(Generator(channels=2, image_size=64, noise_dim=4, **fields), True)
    assert made.images[0].shape == (2, 64, 64, 3)
    params = variables["params"]
    condition = 4 + (4 if fields["project_sentence"] else 12)
    assert params["first"]["kernel"].shape[0] == (4 if fields["start"] == "noise" else condition)
    shared = fields["attention"] == "shared"
    assert ("query" in params) == shared
    for block, side in (("block2", 16), ("block3", 32)):
        norm, attends = params[block]["norm1"], side >= fields["attend_from"]
        assert norm["gamma"]["kernel"].shape[0] == condition + (12 if attends else 0)
        assert ("words" in norm) == (attends and not shared)
    last = params["norm"]["gamma"]["kernel"].shape[0]
    assert last == condition + (12 if fields["last_attends"] else 0)


def test_bfloat16_computes_and_float32_is_kept():
    """Parameters, statistics, images and logits are float32."""
    tiny = {"channels": 2, "image_size": 64, "dtype": jnp.bfloat16}
    made, variables = generated(Generator(noise_dim=4, **tiny), True)
    (logits, encoded), judge = judged(Discriminator(**tiny))
    assert made.images[0].dtype == logits.dtype == jnp.float32
    assert {x.dtype for x in encoded} == {jnp.dtype(jnp.bfloat16)}
    assert {x.dtype for x in jax.tree.leaves((variables, judge))} == {jnp.dtype(jnp.float32)}


def test_without_attention_no_norm_sees_words():
    made, variables = generated(
        Generator(channels=2, image_size=64, noise_dim=4, attention="none", last_attends=True)
    )
    assert made.attention == ()
    assert variables["params"]["block3"]["norm2"]["gamma"]["kernel"].shape[0] == 12 + 4


def test_projection_heads_have_their_depth():
    counts = [
        size(judged(Discriminator(channels=2, image_size=32, head_layers=n))[1]["params"])
        for n in range(3)
    ]
    layer = 2 * (16 * 16 + 16) + 12 * 12 + 12  # of images, of sentences, of regions
    assert np.diff(counts).tolist() == [layer, layer]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 48}, "image_size must be one of .*, got 48"),
        ({"start": "words"}, "start must be one of .*, got 'words'"),
        ({"gain": "two"}, "gain must be one of .*, got 'two'"),
        ({"attention": "shared", "attend_from": 8}, "attend_from=8: .* set it to 16 or more"),
    ],
)
def test_impossible_generators_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        generated(Generator(channels=2, noise_dim=4, **change))


@pytest.mark.parametrize(
    ("change", "message"), [({"image_size": 48}, "got 48"), ({"head_layers": -1}, "got -1")]
)
def test_impossible_discriminators_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        judged(Discriminator(channels=2, **change))
