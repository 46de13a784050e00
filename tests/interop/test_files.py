"""Files of published weights as sources of trainings: found, unwrapped, refused by name."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pth_files
import pytest
from tiny_runs import ROOT, random_like

from t2i_jax import config as configs
from t2i_jax.encoders.damsm import ImageEncoder, TextEncoder
from t2i_jax.encoders.inception_v3 import InceptionV3
from t2i_jax.interop import attn_gan, damsm, dm_gan, files, stack_gan_v2
from t2i_jax.interop.published import shapes_of
from t2i_jax.models import stack_gan_v2_discriminator
from t2i_jax.training import build, networks

STATE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2)}


@pytest.mark.parametrize("wrapped", [STATE, {"state_dict": STATE}, {"model": {"netG": STATE}}])
def test_state_dicts_are_found_in_what_is_around_them(wrapped, tmp_path):
    path = pth_files.write(
        tmp_path / "x.pth", {**wrapped, **({"epoch": 3} if "model" in wrapped else {})}
    )
    found = files.load_state_dict(path, within=("model", "netG"))
    assert found.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_is_no_state_dict_is_refused(tmp_path):
    path = pth_files.write(tmp_path / "x.pth", {"epoch": 3, **STATE})
    with pytest.raises(ValueError, match="x.pth: not a state dict: 'epoch' is no array but int"):
        files.load_state_dict(path)
    with pytest.raises(ValueError, match="x.pth: not a state dict: it holds dict"):
        files.load_state_dict(pth_files.write(tmp_path / "x.pth", {}))
    with pytest.raises(ValueError, match="is a folder: a file of weights is needed"):
        files.load_state_dict(tmp_path)
    (tmp_path / "x.t7").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="x.t7"):
        files.load(tmp_path / "x.t7")


def discriminators(system, module):
    images = [jnp.zeros((1, s, s, 3)) for s in module.image_sizes]
    conditions = jnp.zeros((1, 8)) if system is not stack_gan_v2 else [jnp.zeros((1, 8))] * 2
    key = jax.random.key(0)
    variables = random_like(lambda k: module.init(k, images, conditions, train=False), key)
    return variables, system.export_discriminator(module, variables)


@pytest.mark.parametrize("name", ["attn_gan", "dm_gan", "stack_gan_v2"])
def test_discriminators_lie_in_a_file_a_scale(name, tmp_path):
    system = {"attn_gan": attn_gan, "dm_gan": dm_gan, "stack_gan_v2": stack_gan_v2}[name]
    cls = getattr(system, "RELEASE", stack_gan_v2_discriminator)
    cls = cls.Discriminator if system is stack_gan_v2 else cls.discriminator
    module = cls(channels=2, image_sizes=(64, 128))
    variables, states = discriminators(system, module)
    for i, state in enumerate(states):
        pth_files.write(tmp_path / f"netD{i}.pth", state)
    path = str(tmp_path / "netD0.pth")
    network = networks.published("--discriminator", path, "discriminator", name)
    assert network.module.image_sizes == (64, 128) and network.module.channels == 2
    assert jax.tree.all(jax.tree.map(np.array_equal, network.variables, variables))
    spoilt = {k: np.full_like(v, np.nan) if v.ndim == 1 else v for k, v in states[1].items()}
    pth_files.write(tmp_path / "netD1.pth", spoilt)
    with pytest.raises(ValueError, match="netD0.pth, .*netD1.pth: .*are not finite"):
        networks.published("--discriminator", path, "discriminator", name)


def random_state(shapes):
    rng = np.random.default_rng(0)
    return {k: rng.random(shape, np.float32) for k, shape in shapes.items()}


def test_a_training_takes_published_encoders(tmp_path):
    """AttnGAN on the two files of DAMSM and its dictionary; DAMSM on torchvision's Inception-v3."""
    small = ImageEncoder(embedding=8, image_size=75)
    state = random_state(shapes_of(small, damsm.image_layers(), 75))
    image = pth_files.write(tmp_path / "image_encoder200.pth", state)
    encoder = TextEncoder(vocab_size=3, word_dim=5, embedding=8)
    variables = random_like(encoder.init, jax.random.key(0), jnp.ones((1, 3), jnp.int32))
    text = pth_files.write(tmp_path / "text_encoder200.pth", damsm.export_text_encoder(variables))
    words = ["<end>", "a", "bird"]
    names = [[], [], dict(enumerate(words)), {w: i for i, w in enumerate(words)}]
    (tmp_path / "captions.pickle").write_bytes(pickle.dumps(names, 2))
    config = configs.load(f"{ROOT}/configs/attn_gan.py:debug")
    config.encoder.source, config.frozen.damsm = str(text), str(image)
    config.tokenizer.captions_pickle = str(tmp_path / "captions.pickle")
    system = build.build(config)
    assert system.recipe.damsm == ImageEncoder(embedding=8) and not system.untrained
    assert system.tokenizer.words == words
    exported = damsm.export_image_encoder(system.variables["damsm"], counts=False)
    assert all(np.array_equal(exported[name], array) for name, array in state.items())
    assert jax.tree.all(jax.tree.map(np.array_equal, system.variables["encoder"], variables))

    trunk = {k: v for k, v in state.items() if not k.startswith("emb_")}
    trunk |= {"fc.bias": np.zeros(1000, np.float32), "AuxLogits.fc.bias": np.zeros(1000)}
    path = pth_files.write(tmp_path / "inception_v3_google-0cc3c7bd.pth", trunk)
    found = networks.resolve("frozen.inception", str(path), "inception", InceptionV3)
    kernel = found.variables["params"]["Mixed_7c"]["branch_pool"]["conv"]["kernel"]
    np.testing.assert_array_equal(
        kernel.transpose(3, 2, 0, 1), state["Mixed_7c.branch_pool.conv.weight"]
    )


def test_a_folder_that_is_no_run_is_read_as_published_files(tmp_path):
    """A folder in which nothing of nsfwjs is; an empty one is no source at all."""
    with pytest.raises(FileNotFoundError, match="neither a run directory"):
        networks.resolve("frozen.inception", str(tmp_path), "inception", InceptionV3)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="group1-shard1of6"):
        networks.resolve("frozen.inception", str(tmp_path), "inception", InceptionV3)
    with pytest.raises(ValueError, match="encoder.source: .* is a folder"):
        networks.resolve("encoder.source", str(tmp_path), "text", TextEncoder)
