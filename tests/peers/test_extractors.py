"""Extractors against torch-fidelity and torchvision with the same random weights, and metrics of a
folder of images by torch-fidelity and by our features (the extra "peers",
``launch/test_peers.sh``).
"""

import inception_weights
import numpy as np
import pytest
from PIL import Image

from t2i_jax.evaluation.extractors import registry

torch = pytest.importorskip("torch")

LAYERS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file that both programs read."""
    path = tmp_path_factory.mktemp("weights") / "drawn.pth"
    state = inception_weights.state_dict()
    torch.save({name: torch.tensor(array) for name, array in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def extractor(weights):
    return registry.load("inception_2015", weights, batch_size=8)


def folder_of(path, seed, count=24):
    """Images whose distribution depends on the seed: blocks of colour under noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 4, 4, 3)).repeat(12, axis=1).repeat(16, axis=2)
    images = np.clip(blocks * (0.5 + 0.2 * seed) + rng.normal(0, 20, blocks.shape), 0, 255)
    images = images.astype(np.uint8)
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03d}.png")
    return images


def test_features_as_torch_fidelity_has_them(extractor, weights):
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    theirs = fidelity.FeatureExtractorInceptionV3(
        "inception-v3-compat", list(LAYERS), feature_extractor_weights_path=str(weights)
    )
    images = np.random.default_rng(0).integers(0, 256, (5, 70, 61, 3), np.uint8)
    with torch.no_grad():
        expected = theirs(torch.tensor(images).permute(0, 3, 1, 2))
    found = extractor.extract(images)
    for layer, array in zip(LAYERS, expected, strict=True):
        array = array.numpy()
        error = np.abs(found[layer] - array).max() / np.abs(array).max()
        assert error < 5e-6, f"{layer}: {error}"


def test_metrics_of_a_folder(extractor, weights, tmp_path):
    """FID, KID and IS of PNG files on disk: torch-fidelity from the files, ours from the images."""
    fidelity = pytest.importorskip("torch_fidelity")
    frechet = pytest.importorskip("t2i_jax.evaluation.metrics.frechet")
    from t2i_jax.evaluation.metrics.inception_score import inception_score
    from t2i_jax.evaluation.metrics.kernel import kernel_distance

    drawn, real = (folder_of(tmp_path / str(seed), seed) for seed in (1, 2))
    expected = fidelity.calculate_metrics(
        input1=str(tmp_path / "1"),
        input2=str(tmp_path / "2"),
        feature_extractor_weights_path=str(weights),
        **dict.fromkeys(("fid", "isc", "kid"), True),
        kid_subset_size=10,
        cuda=False,
        save_cpu_ram=True,  # no processes forked beside JAX's threads
        verbose=False,
        cache=False,
    )
    found, held = extractor.extract(drawn), extractor.extract(real)
    kernel = kernel_distance(found["2048"], held["2048"], size=10)
    score = inception_score(found["logits_unbiased"])
    for name, value in (
        (
            "frechet_inception_distance",
            frechet.frechet_distance_of_few(found["2048"], held["2048"]),
        ),
        ("kernel_inception_distance_mean", kernel.mean),
        ("kernel_inception_distance_std", kernel.deviation),
        ("inception_score_mean", score[0]),
        ("inception_score_std", score[1]),
    ):
        # 3e-6 of FID's is their formula, which loses digits where images are fewer than features.
        mean = name in ("kernel_inception_distance_mean", "inception_score_mean")
        assert value == pytest.approx(expected[name], rel=1e-6 if mean else 1e-5), name
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(torch.tensor(x["2048"])) for x in (found, held)]
    by_theirs = fid_statistics_to_metric(*statistics, verbose=False)
    name = "frechet_inception_distance"
    assert by_theirs[name] == pytest.approx(expected[name], rel=1e-6)


def test_torchvision(tmp_path):
    """Its own network in evaluation mode, on what DM-GAN's program feeds it."""
    models = pytest.importorskip("torchvision.models")
    net = models.inception_v3(weights=None, transform_input=False, init_weights=False).eval()
    for name, array in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            array.copy_(torch.tensor(inception_weights.drawn(name, tuple(array.shape))))
    path = tmp_path / "mine.pth"
    torch.save(net.state_dict(), path)
    ours = registry.load("inception_torchvision", path, batch_size=4)
    images = np.random.default_rng(1).integers(0, 256, (3, 299, 299, 3), np.uint8)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    seen = images / np.float32(255) * (std / 0.5) + (mean - 0.5) / 0.5
    pooled = []
    net.avgpool.register_forward_hook(lambda *args: pooled.append(args[-1].flatten(1)))
    with torch.no_grad():
        logits = net(torch.tensor(seen).permute(0, 3, 1, 2))
    found = ours.extract(images)
    for layer, array in (("2048", pooled[0]), ("logits", logits)):
        array = array.numpy()
        error = np.abs(found[layer] - array).max() / np.abs(array).max()
        assert error < 1e-5, f"{layer}: {error}"


def test_vgg16(tmp_path):
    """As torch-fidelity takes it: resized as TensorFlow 1 does, the second linear layer."""
    models = pytest.importorskip("torchvision.models")
    helpers = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    torch.manual_seed(0)
    net = models.vgg16(weights=None, init_weights=False).eval()
    torch.save(net.state_dict(), tmp_path / "mine.pth")
    ours = registry.load("vgg16", tmp_path / "mine.pth", batch_size=4)
    images = np.random.default_rng(2).integers(0, 256, (3, 90, 80, 3), np.uint8)
    x = torch.tensor(images).permute(0, 3, 1, 2).float()
    x = helpers.interpolate_bilinear_2d_like_tensorflow1x(x, (224, 224), align_corners=False)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        expected = net.classifier[:4](net.avgpool(net.features(x)).flatten(1)).numpy()
    error = np.abs(ours.extract(images)["fc2"] - expected).max() / np.abs(expected).max()
    assert error < 1e-5
