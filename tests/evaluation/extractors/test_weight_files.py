"""Where weights are looked for, and what is said of files that are missing or not what they say."""

import hashlib

import jax
import numpy as np
import pth_files
import pytest
from encoders.photos import weights

from t2i_jax.evaluation.extractors import published, registry, weight_files
from t2i_jax.evaluation.extractors.weight_files import Published
from t2i_jax.interop import image_network
from t2i_jax.training.inputs import to_float

CONTENT = b"weights"
SUM = hashlib.sha256(CONTENT).hexdigest()
KNOWN = (
    Published(f"net-{SUM[:8]}.pth", "their page", SUM[:8]),
    Published("archive/model.ckpt", "their archive"),
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("T2I_JAX_WEIGHTS", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "net"
    folder.mkdir(parents=True)
    return folder


def test_where_files_are_found(cache, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        weight_files.find("net", KNOWN, None)
    for told in (str(cache), KNOWN[0].file, "their page", "archive/model.ckpt", "their archive"):
        assert told in str(error.value)
    checkpoint = cache / "model.ckpt"  # of version 2
    (cache / "model.ckpt.index").write_bytes(CONTENT)
    assert weight_files.find("net", KNOWN, None) == checkpoint
    assert weight_files.find("net", KNOWN, cache) == checkpoint
    assert weight_files.find("net", KNOWN, checkpoint) == checkpoint
    inside = cache / "archive"
    inside.mkdir()
    (inside / "model.ckpt").write_bytes(CONTENT)  # as the archive unpacks
    assert weight_files.find("net", KNOWN, None) == inside / "model.ckpt"
    (cache / KNOWN[0].file).write_bytes(CONTENT)
    assert weight_files.find("net", KNOWN, None) == cache / KNOWN[0].file
    own = tmp_path / "own.bin"
    own.write_bytes(CONTENT)
    assert weight_files.find("net", KNOWN, own) == own
    with pytest.raises(FileNotFoundError, match="net has no weights at .*nothing.pth"):
        weight_files.find("net", KNOWN, tmp_path / "nothing.pth")
    with pytest.raises(FileNotFoundError, match=f"net has no weights in {tmp_path}"):
        weight_files.find("net", KNOWN, tmp_path)


def test_a_published_name_must_hold_what_was_published(cache):
    path, renamed = cache / KNOWN[0].file, cache / "mine.pth"
    path.write_bytes(CONTENT)
    assert weight_files.told(path, KNOWN).endswith(f"SHA-256 {SUM[:8]}, the published one")
    renamed.write_bytes(CONTENT)
    assert "mine.pth" in weight_files.told(renamed, KNOWN)
    assert "the published one" in weight_files.told(renamed, KNOWN)
    for file in (path, renamed):
        file.write_bytes(CONTENT + b".")
    assert "published" not in weight_files.told(renamed, KNOWN)
    with pytest.raises(ValueError, match=f"that of the published file with {SUM[:8]}"):
        weight_files.told(path, KNOWN)


@pytest.mark.parametrize("name", published.NAMES)
def test_every_network_says_what_it_lacks(cache, name):
    kind = published.NAMES[name][0]
    with pytest.raises(FileNotFoundError) as error:
        registry.load(name)
    assert str(cache.parent / kind) in str(error.value)
    for file in published.KINDS[kind].weights:
        assert file.file in str(error.value) and file.origin in str(error.value)


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("inception_2015", "x.pth", "x.pth: these are not the weights of the Inception of 2015"),
        ("inception_2015", "x.pb", "x.pb: not a"),
        ("inception_torchvision", "x.pth", "x.pth: these are not the weights of torchvision's"),
        ("inception_birds", "x.ckpt", "x.ckpt: not a readable checkpoint"),
    ],
)
def test_other_content_is_refused(tmp_path, name, file, message):
    path = tmp_path / file
    if path.suffix == ".pth":
        pth_files.write(path, {"fc.weight": np.zeros((2, 2), np.float32)})
    else:
        path.write_text("something else")
    with pytest.raises(ValueError, match=message):
        registry.load(name, path)


@pytest.mark.weights
def test_published_efficientnet():
    """The layers are those of the network applied as a training applies it."""
    path = weights("efficientnet_lite0") / "efficientnet-lite0-57934424.pth"
    loaded = registry.load("efficientnet_lite0", batch_size=4)
    assert "SHA-256 57934424, the published one" in loaded.description
    assert dict(loaded.widths) == {"features": 1280, "logits": 1000}
    images = np.random.default_rng(0).integers(0, 256, (3, 96, 80, 3), np.uint8)
    module, variables = image_network.load(path)
    expected = jax.jit(lambda x: module.apply(variables, to_float(x), False))(images)
    for layer, vectors in loaded.extract(images).items():
        np.testing.assert_allclose(vectors, getattr(expected, layer), rtol=1e-4, atol=1e-5)
