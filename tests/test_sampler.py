"""What the sampler draws is G of the caption and the image's own noise, however it is batched."""

import dataclasses
import shutil
import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tiny_runs import debug_config, gan_run, style_run

import t2i_jax
from t2i_jax import CaptionWarning, Sampler
from t2i_jax.data import tokenizers
from t2i_jax.drawing import drawer
from t2i_jax.drawing.styles import StyleEncoder
from t2i_jax.encoders.char_cnn_rnn import TextEncoder
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import build, modules, networks, runs

CAPTIONS = [
    "a small red bird",
    "a yellow bird with a blue crown",
    "this bird is black",
    "it has a long, thin beak",
    "a green bird on a branch",
]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    return style_run(tmp_path_factory.mktemp("runs") / "style")


@pytest.fixture(scope="module")
def sampler(workdir):
    return Sampler.from_workdir(workdir, batch_size=8)


class Oracle:
    """The networks of a run, used one image at a time."""

    def __init__(self, workdir):
        config, ema = runs.load_ema(workdir)
        self.generator = modules.make_recipe(config).generator
        self.g_vars = {"params": ema["params"]["g"], **ema["stats"]["g"]}
        encoder = TextEncoder(**config.encoder.fields.to_dict())
        encoder_vars = networks.load(workdir, "encoder").variables
        tokenizer = tokenizers.from_config("char")
        self.encode = jax.jit(
            lambda text: encoder.apply(encoder_vars, *text).sentence,
        )
        self.sentence = lambda caption: self.encode(tokenizer.encode([caption]))
        apply = self.generator.apply
        self.apply = jax.jit(lambda z, s: apply(self.g_vars, {"z": z}, s, train=False)[0])

    def noise(self, seed, index):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), 0)
        return jax.random.normal(key, (1, self.generator.noise_dim))

    def draw(self, noise, sentence):
        image = np.asarray(self.apply(noise, sentence)[0], np.float64)
        return np.rint((image + 1) * 127.5)


@pytest.fixture(scope="module")
def oracle(workdir):
    return Oracle(workdir)


def levels(a, b) -> int:
    """The largest difference of two images in 0..255."""
    assert np.shape(a) == np.shape(b)
    return int(np.abs(np.asarray(a, np.int64) - np.asarray(b, np.int64)).max())


def test_an_image_is_the_generator_of_its_caption_and_its_own_noise(sampler, oracle):
    images = sampler.sample(CAPTIONS, seed=7)
    assert images.shape == (5, 32, 32, 3) and images.dtype == np.uint8
    assert images.min() < 64 and images.max() > 192, "no contrast: the test would say nothing"
    for i, caption in enumerate(CAPTIONS):
        expected = oracle.draw(oracle.noise(7, i), oracle.sentence(caption))
        assert levels(images[i], expected) <= 1


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_the_batch_size_does_not_change_an_image(workdir, sampler, batch_size):
    other = Sampler.from_workdir(workdir, batch_size=batch_size)
    assert levels(other.sample(CAPTIONS, seed=3), sampler.sample(CAPTIONS, seed=3)) <= 1


def test_same_seed_same_bytes_other_seed_other_images(sampler):
    first = sampler.sample(CAPTIONS, seed=1)
    np.testing.assert_array_equal(first, sampler.sample(CAPTIONS, seed=1))
    assert levels(first, sampler.sample(CAPTIONS, seed=2)) > 20


def test_an_image_does_not_depend_on_its_neighbours(sampler):
    """The same place in the same compiled batch, other captions around it: the same bytes."""
    alone = sampler.sample(CAPTIONS[:1], seed=1)
    among = sampler.sample(CAPTIONS, seed=1)
    np.testing.assert_array_equal(alone[0], among[0])


def test_num_draws_each_caption_several_times(sampler):
    images = sampler.sample(CAPTIONS[:2], seed=1, num=2)
    repeated = sampler.sample([CAPTIONS[0]] * 2 + [CAPTIONS[1]] * 2, seed=1)
    np.testing.assert_array_equal(images, repeated)
    assert levels(images[0], images[1]) > 20
    np.testing.assert_array_equal(sampler.sample(CAPTIONS[0], seed=1, num=2), images[:2])


def test_compiled_once_whatever_the_number_of_captions(workdir):
    sampler = Sampler.from_workdir(workdir, batch_size=3)
    for count in (1, 3, 5):
        sampler.sample(CAPTIONS[:count])
    assert sampler._drawer._draw._cache_size() == 1
    assert sampler._drawer._text._cache_size() == 1


def test_interpolation_of_captions(sampler, oracle):
    a, b = CAPTIONS[:2]
    images = sampler.interpolate(a, b, steps=3, seed=5)
    assert images.shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(images[0], sampler.sample(a, seed=5)[0])
    np.testing.assert_array_equal(images[2], sampler.sample(b, seed=5)[0])
    middle = (oracle.sentence(a) + oracle.sentence(b)) / 2
    assert levels(images[1], oracle.draw(oracle.noise(5, 0), middle)) <= 1


def test_interpolation_of_noise(sampler, oracle):
    images = sampler.interpolate_noise(CAPTIONS[0], 5, 6, steps=5)
    assert images.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(images[0], sampler.sample(CAPTIONS[0], seed=5)[0])
    np.testing.assert_array_equal(images[4], sampler.sample(CAPTIONS[0], seed=6)[0])
    quarter = 0.75 * oracle.noise(5, 0) + 0.25 * oracle.noise(6, 0)
    assert levels(images[1], oracle.draw(quarter, oracle.sentence(CAPTIONS[0]))) <= 1


def test_interpolating_needs_two_ends(sampler):
    with pytest.raises(ValueError, match="steps=1"):
        sampler.interpolate(*CAPTIONS[:2], steps=1)


def test_words_are_mixed_by_position_and_the_mask_covers_both(sampler, monkeypatch):
    text = t2i_jax.types.Text(
        np.float32([[1], [3]]),
        np.float32([[[0], [2], [4]], [[4], [4], [4]]]),
        np.array([[True, True, False], [True, False, False]]),
    )
    monkeypatch.setattr(sampler, "_text", lambda captions: text)
    monkeypatch.setattr(sampler, "_images", lambda text, noise, scale: text)
    mixed = sampler.interpolate("a", "b", steps=3)
    np.testing.assert_array_equal(mixed.sentence, [[1], [2], [3]])
    np.testing.assert_array_equal(mixed.words[1], [[2], [3], [4]])
    np.testing.assert_array_equal(mixed.mask, text.mask[[0, 0, 1]])


# --- style -----------------------------------------------------------------------------------


def photos(count: int):
    rng = np.random.default_rng(0)
    sizes = [(50, 70), (90, 40), (38, 38)][:count]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("normalise", [False, True])
def test_style_of_photos_on_captions(sampler, oracle, styles, normalise):
    images = sampler.transfer(photos(3), CAPTIONS[:2], styles, normalise=normalise)
    assert images.shape == (2, 3, 32, 32, 3) and images.dtype == np.uint8
    config, ema = runs.load_ema(styles)
    net = modules.make_recipe(config, {"generator": None}).net
    variables = {"params": ema["params"]["net"], **ema["stats"]["net"]}
    seen = sampler.view(photos(3))[1]
    style = net.apply(variables, seen[None] / np.float32(127.5) - 1, train=False)
    if normalise:
        style = style / jnp.linalg.norm(style) * 2.0  # 4 coordinates
    expected = oracle.draw(style, oracle.sentence(CAPTIONS[1]))
    assert levels(images[1, 1], expected) <= 1


@pytest.mark.parametrize("noise, norm", [("normal", 2.0), ("uniform", (4 / 3) ** 0.5)])
def test_normalised_styles_have_the_norm_of_the_noise(workdir, styles, noise, norm):
    """The root of the mean of |z|^2 over 4 coordinates: N(0, 1) has variance 1, U(-1, 1) 1/3."""
    config = runs.read_config(workdir)
    config.generator.noise = noise
    system = build.System(config, modules.make_recipe(config), None, None, {})
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    found = StyleEncoder(str(styles), system, batch_size=4)(images, normalise=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), norm, rtol=1e-5)


def test_photos_are_seen_as_torch_scaled_them(golden_dir):
    golden = np.load(golden_dir / "torch_image_scale.npz")
    config = debug_config("data.size=64", "data.resize=torch7")
    sampler = Sampler(build.System(config, fake(), None, None, {}), {"params": {"g": {}}})
    for case in ("case1", "case2"):
        source = golden[f"{case}/src_uint8"].transpose(1, 2, 0)
        middle = golden[f"{case}/scaled_76"].transpose(1, 2, 0)[6:70, 6:70] * 255
        assert levels(sampler.view([source])[0], np.rint(middle)) <= 1


def test_bad_photos(sampler, styles):
    for bad in ([np.zeros((5, 5, 3))], [np.zeros((5, 5), np.uint8)], ["photo.jpg"], []):
        with pytest.raises(ValueError, match="photo"):
            sampler.transfer(bad, CAPTIONS[0], styles)


def test_style_encoders_that_do_not_fit(sampler, workdir, tmp_path):
    with pytest.raises(ValueError, match="that run trained 'gan_int_cls' and has no part 'net'"):
        sampler.transfer(photos(1), CAPTIONS[0], workdir)
    other = style_run(tmp_path / "other", "net.noise_dim=5")
    with pytest.raises(ValueError, match=r"writes noise .*5.* from noise .*4"):
        sampler.transfer(photos(1), CAPTIONS[0], other)


# --- captions that the tokenizer does not know --------------------------------------------------


def test_unknown_characters_are_reported_with_the_caption(sampler):
    with pytest.warns(CaptionWarning, match=r"'a réd bird 鳥': unknown characters 'é', '鳥'"):
        sampler.sample(["a small bird", "a réd bird 鳥"])


def test_the_report_points_at_the_caller(sampler):
    with pytest.warns(CaptionWarning) as caught:
        sampler.sample("rød")
    assert caught[0].filename == __file__


def test_a_long_caption_is_reported(sampler):
    with pytest.warns(CaptionWarning, match="300 tokens long; only the first 201 are read"):
        sampler.sample("x" * 300)


@pytest.mark.parametrize("caption", ["", "  \n", "鳥", 5, None])
def test_a_caption_of_nothing_known_is_refused(sampler, caption):
    with pytest.raises(ValueError, match="caption"):
        sampler.sample(["a red bird", caption])


def test_clean_captions_are_silent(sampler):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler.sample(CAPTIONS)


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory):
    file = tmp_path_factory.mktemp("bert") / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "bird"]))
    return tokenizers.from_config("wordpiece", path=str(file), length=5)


@pytest.fixture(params=["char", "word", "wordpiece", "cut_at_zero"])
def tokenizer(request):
    if request.param == "wordpiece":
        return request.getfixturevalue("wordpiece")
    if request.param == "word":
        words = ["<end>", "a", "red", "bird"]
        return tokenizers.from_config("word", words=words, length=3)
    mode = "cut_at_zero" if request.param == "cut_at_zero" else "lower"
    return tokenizers.from_config("char", length=12, mode=mode)


def test_problems_of_every_tokenizer(tokenizer):
    unknown, parts = ("é", "characters") if tokenizer.name == "char" else ("zebra", "words")
    check = drawer.caption_problems
    assert check(tokenizer, "A red bird") == []
    [problem] = check(tokenizer, f"a red {unknown}")
    assert f"unknown {parts} '{unknown}'" in problem and "it is read as" in problem
    [problem] = check(tokenizer, "a red bird a red bird")
    assert "only the first" in problem
    for nothing in (f"{unknown} ", unknown * 2 if tokenizer.name == "char" else unknown):
        with pytest.raises(ValueError, match=f"knows none of its {parts}"):
            check(tokenizer, nothing)


# --- runs --------------------------------------------------------------------------------------


def test_the_latest_step_by_default(workdir):
    def draw(step):
        return Sampler.from_workdir(workdir, step, batch_size=2).sample(CAPTIONS[:1])

    np.testing.assert_array_equal(draw(None), draw(2))
    assert levels(draw(1), draw(2)) > 20


def test_a_moved_run_is_whole(workdir, sampler, tmp_path):
    shutil.copytree(workdir, tmp_path / "moved")
    moved = Sampler.from_workdir(str(tmp_path / "moved"), batch_size=8)
    np.testing.assert_array_equal(moved.sample(CAPTIONS), sampler.sample(CAPTIONS))


def test_sampling_leaves_a_training_run_alone(workdir, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "training")
    (run / "checkpoints" / "3.orbax-checkpoint-tmp-7").mkdir()  # being written
    before = sorted(run.rglob("*"))
    Sampler.from_workdir(run)
    assert sorted(run.rglob("*")) == before


def test_a_jointly_trained_encoder_comes_from_the_checkpoint(tmp_path, sampler):
    run = gan_run(tmp_path / "joint", "encoder.train=joint", steps=[2])
    assert not (run / "frozen").exists()
    joint = Sampler.from_workdir(run, batch_size=8)  # the same random weights as the frozen one
    np.testing.assert_array_equal(joint.sample(CAPTIONS), sampler.sample(CAPTIONS))


def test_what_is_no_run_of_a_generator(workdir, styles, tmp_path):
    with pytest.raises(FileNotFoundError, match="no run directory"):
        Sampler.from_workdir(tmp_path)
    with pytest.raises(ValueError, match="'style_encoder', which draws no images"):
        Sampler.from_workdir(styles)
    with pytest.raises(FileNotFoundError, match=r"step 9 .*\[1, 2\]"):
        Sampler.from_workdir(workdir, step=9)
    empty = gan_run(tmp_path / "empty", steps=[])
    with pytest.raises(FileNotFoundError, match="no whole checkpoint"):
        Sampler.from_workdir(empty)
    assert sorted(p.name for p in (empty / "checkpoints").iterdir()) == []
    run = shutil.copytree(workdir, tmp_path / "no encoder")
    shutil.rmtree(run / "frozen")
    with pytest.raises(FileNotFoundError, match="encoder"):
        Sampler.from_workdir(run)


def test_bad_arguments(workdir, sampler):
    with pytest.raises(ValueError, match="batch_size=0"):
        Sampler.from_workdir(workdir, batch_size=0)
    with pytest.raises(ValueError, match="num=0"):
        sampler.sample("a bird", num=0)
    with pytest.raises(ValueError, match="no captions"):
        sampler.sample([])
    for captions in (None, np.zeros((2, 12), np.float32)):
        with pytest.raises(ValueError, match="draws from captions: give strings"):
            sampler.sample(captions)
    with pytest.raises(ValueError, match="scale=64: this generator draws 32 px"):
        sampler.sample("a bird", scale=64)
    for name, value in {"num": 2.0, "first": -1, "seed": "1", "truncation": "0.5"}.items():
        with pytest.raises(ValueError, match=f"{name}={value!r}"):
            sampler.sample("a bird", **{name: value})
    with pytest.raises(ValueError, match="steps=2.5: must be a whole number"):
        sampler.interpolate("a bird", "a red bird", steps=2.5)
    with pytest.raises(ValueError, match="2 captions: the noise of one is mixed"):
        sampler.interpolate_noise(["a bird", "a red bird"], 0, 1)


def test_what_is_of_another_type_gets_a_sentence(workdir, sampler):
    for make in (Sampler.from_workdir, Sampler.from_pretrained):
        for none in (None, 5, ""):
            with pytest.raises(TypeError, match=f"is {none!r}: a path is needed"):
                make(none)
    with pytest.raises(ValueError, match="batch_size=2.5: must be a whole number"):
        Sampler.from_workdir(workdir, batch_size=2.5)
    for devices in (5, [], ["cpu"]):
        with pytest.raises(TypeError, match="some of JAX's are needed"):
            Sampler.from_workdir(workdir, devices=devices)
    with pytest.raises(TypeError, match="caption=.'a bird'.: a text is needed"):
        sampler.words(["a bird"])
    with pytest.raises(TypeError, match="photos=None"):
        sampler.view(None)
    with pytest.raises(TypeError, match="style_encoder is None"):
        sampler.transfer(np.zeros((1, 8, 8, 3), np.uint8), "a bird", None)


# --- generators of other kinds -------------------------------------------------------------------


class Flat(nn.Module):
    """Images of one value at each size."""

    @nn.compact
    def __call__(self, z, sizes):
        gain = self.param("gain", nn.initializers.ones_init(), ())
        return tuple(
            jnp.broadcast_to(gain * z[:, :1, None, None], (len(z), s, s, 3)) for s in sizes
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlatRecipe(GanRecipe):
    """Several sizes, no statistics."""

    noise_shapes = {"z": (1,)}
    sizes: tuple[int, ...] = (8, 16, 16)

    def generate(self, g_vars, seen, noise, train):
        text = seen.text
        z = jnp.tanh(noise["z"] if text is None else jnp.mean(text.sentence, -1, keepdims=True))
        # Equal sizes are told apart by their level.
        images = [x + i / 255 for i, x in enumerate(self.generator.apply(g_vars, z, self.sizes))]
        return {"images": tuple(images), "z": z, "scalar": jnp.zeros(())}, {}


def fake() -> FlatRecipe:
    return FlatRecipe(generator=Flat(), discriminator=None)


def flat_sampler(**data) -> Sampler:
    config = debug_config()
    config.data.update(data)
    system = build.System(config, fake(), None, None, {})
    return Sampler(system, {"params": {"g": {"gain": jnp.ones(())}}, "stats": {}}, batch_size=4)


def test_a_generator_without_text():
    sampler = flat_sampler(text="tokens")
    images = sampler.sample(num=5)
    assert images.shape == (5, 16, 16, 3) and len(np.unique(images)) > 1
    with pytest.raises(ValueError, match="trained without text"):
        sampler.sample("a bird")
    ends = sampler.interpolate_noise(None, 0, 1, steps=2)
    np.testing.assert_array_equal(ends[0], images[0])


def test_a_generator_of_stored_embeddings():
    sampler = flat_sampler(text="embeddings")
    vectors = np.float32([[-3, -3], [0.5, 1.5]])
    images = sampler.sample(vectors, num=2)
    levels_of = [round((np.tanh(x) + 2 / 255 + 1) * 127.5) for x in (-3, -3, 1, 1)]
    assert images.shape == (4, 16, 16, 3)
    np.testing.assert_array_equal(images[:, 0, 0, 0], levels_of)
    with pytest.raises(ValueError, match="stored embeddings"):
        sampler.sample("a bird")


def test_scales():
    sampler = flat_sampler(text="tokens")
    every = sampler.sample(num=3, scale="all")
    assert [x.shape for x in every] == [(3, 8, 8, 3), (3, 16, 16, 3), (3, 16, 16, 3)]
    np.testing.assert_array_equal(sampler.sample(num=3), every[2])
    np.testing.assert_array_equal(sampler.sample(num=3, scale=8), every[0])
    np.testing.assert_array_equal(sampler.sample(num=3, scale="16"), every[2])
    with pytest.raises(ValueError, match="draws 8, 16 px"):
        sampler.sample(num=3, scale=64)


def test_extras_are_what_the_system_has_for_every_image():
    sampler = flat_sampler(text="tokens")
    images, extras = sampler.sample(num=5, extras=("z",))
    np.testing.assert_array_equal(images, sampler.sample(num=5))
    assert extras.keys() == {"z"} and extras["z"].shape == (5, 1)
    np.testing.assert_array_equal(
        images[:, 0, 0, 0], np.floor((extras["z"][:, 0] + 1 + 2 / 255) * 127.5 + 0.5)
    )
    every, _ = sampler.sample(num=5, scale="all", extras=("z",))
    assert [len(x) for x in every] == [5, 5, 5]
    for name in ("zz", "scalar"):
        with pytest.raises(ValueError, match=f"extras: no '{name}'.* 'z'|known: z"):
            sampler.sample(num=5, extras=(name,))


def test_truncated_noise_is_a_normal_cut_at_two():
    sampler = flat_sampler(text="tokens")
    _, extras = sampler.sample(num=2000, truncation=0.5, extras=("z",))
    noise = np.arctanh(extras["z"])
    assert 0.9 < np.abs(noise).max() <= 1.0 + 1e-6
    assert np.std(noise) == pytest.approx(0.5 * stats.truncnorm(-2, 2).std(), rel=0.05)


def test_seeds_that_jax_would_fold_are_refused():
    sampler = flat_sampler(text="tokens")
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=f"seed={seed}: must be a whole number from 0"):
            sampler.sample(num=1, seed=seed)


# --- the package ---------------------------------------------------------------------------------


def test_the_package_offers_the_sampler():
    assert t2i_jax.Sampler is Sampler and "Sampler" in dir(t2i_jax)
    assert t2i_jax.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="nonsense"):
        t2i_jax.nonsense  # noqa: B018


def test_devices_share_a_batch(sampler, workdir):
    spread = Sampler.from_workdir(workdir, batch_size=6, devices=jax.devices()[:4])
    assert spread._drawer.batch_size == 8, "a multiple of the devices"
    drawn = spread.sample(CAPTIONS, num=2, seed=3)
    one = sampler.sample(CAPTIONS, num=2, seed=3)
    assert int(np.abs(drawn.astype(int) - one.astype(int)).max()) <= 1
    batch = spread._drawer._spread.rows({"x": np.zeros((8, 2))})
    assert len(batch["x"].sharding.device_set) == 4


def test_a_long_list_in_parts(sampler):
    whole = sampler.sample(CAPTIONS, seed=3)
    parts = [sampler.sample(CAPTIONS[i : i + 2], seed=3, first=i) for i in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_other_networks_of_the_same_run(sampler, workdir):
    _, earlier = runs.load_ema(workdir, 1)
    other = sampler.with_networks(earlier).sample(CAPTIONS, seed=3)
    expected = Sampler.from_workdir(workdir, step=1, batch_size=8).sample(CAPTIONS, seed=3)
    np.testing.assert_array_equal(other, expected)
    assert np.abs(sampler.sample(CAPTIONS, seed=3).astype(int) - other).max() > 5
