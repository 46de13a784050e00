"""Metrics against other libraries' own functions of features, where they are installed (the extra
"peers").
"""

import numpy as np
import pytest

from t2i_jax.evaluation.metrics.frechet import frechet_distance
from t2i_jax.evaluation.metrics.inception_score import inception_score
from t2i_jax.evaluation.metrics.kernel import kernel_distance
from t2i_jax.evaluation.metrics.moments import Moments
from t2i_jax.evaluation.metrics.ms_ssim import ms_ssim
from t2i_jax.evaluation.metrics.neighbours import neighbours
from t2i_jax.evaluation.metrics.object_accuracy import BIRDS

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def features():
    """Like Inception's: never negative, many zeros; two sets that differ a little."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(64, 64))
    x, y = rng.normal(size=(700, 64)) @ mix, rng.normal(size=(650, 64)) @ mix
    return np.maximum(x, 0), np.maximum(1.1 * y + 0.5, 0)


def moments(features):
    made = Moments(features.shape[1])
    for part in np.array_split(features, 9):
        made.add(part)
    return made


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_frechet_distance_is_torch_fidelitys(features, dtype, tolerance):
    """Of float32 features it takes the means in float32."""
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = (z.astype(dtype) for z in features)
    statistics = [fid.fid_features_to_statistics(torch.tensor(z)) for z in (x, y)]
    theirs = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(theirs, rel=tolerance)


def test_kernel_distance_is_torch_fidelitys(features):
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    theirs = kid.kid_features_to_metric(
        *map(torch.tensor, features), kid_subsets=20, kid_subset_size=100, verbose=False
    )
    ours = kernel_distance(*features, subsets=20, size=100)
    assert ours.mean == pytest.approx(theirs[kid.KEY_METRIC_KID_MEAN], rel=1e-9)
    assert ours.deviation == pytest.approx(theirs[kid.KEY_METRIC_KID_STD], rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score_is_torch_fidelitys(features, splits):
    isc = pytest.importorskip("torch_fidelity.metric_isc")
    logits = (features[0] / 4).astype(np.float32)
    theirs = isc.isc_features_to_metric(torch.tensor(logits), splits, shuffle=True, rng_seed=2020)
    expected = theirs[isc.KEY_METRIC_ISC_MEAN], theirs[isc.KEY_METRIC_ISC_STD]
    assert inception_score(logits, splits) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_precision_and_recall_are_torch_fidelitys(features):
    """Which takes the generated set first. Copies, of which here are none, it takes for neighbours
    at a distance that rounding leaves of 0.
    """
    prc = pytest.importorskip("torch_fidelity.metric_prc")
    real, fake = (z[:400, :16] for z in features)
    theirs = prc.prc_features_to_metric(
        torch.tensor(fake), torch.tensor(real), prc_neighborhood=3, verbose=False
    )
    ours = neighbours(real=real, fake=fake, k=3)
    assert ours.precision < ours.recall < 1 and ours.real_copies == ours.fake_copies == 0
    assert ours.precision == pytest.approx(theirs[prc.KEY_METRIC_PRECISION], rel=1e-6)
    assert ours.recall == pytest.approx(theirs[prc.KEY_METRIC_RECALL], rel=1e-6)


def test_all_four_are_prdcs(features):
    prdc = pytest.importorskip("prdc")
    real, fake = features
    theirs = prdc.compute_prdc(real_features=real, fake_features=fake, nearest_k=5)
    ours = neighbours(real=real, fake=fake, k=5, closed=False)
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, rel=1e-12), name


def test_ms_ssim_is_piqs():
    """Sides that stay even: piq repeats the first row and column of odd ones."""
    piq = pytest.importorskip("piq")
    rng = np.random.default_rng(1)
    a = np.kron(rng.integers(0, 256, size=(3, 24, 22, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    b = np.clip(a + rng.normal(size=a.shape) * [[[[20]]], [[[60]]], [[[150]]]], 0, 255)
    b = b.astype(np.uint8)
    tensors = (torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float64) for x in (a, b))
    theirs = piq.multi_scale_ssim(*tensors, data_range=255, reduction="none").numpy()
    assert theirs.max() - theirs.min() > 0.1
    np.testing.assert_allclose(ms_ssim(a, b), theirs, rtol=1e-9)


def test_bird_classes_by_torchvisions_names():
    """The classes on both sides of each border, and those of other kinds between them."""
    models = pytest.importorskip("torchvision.models")
    names = models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    edges = [i for i in range(1, 1000) if (i in BIRDS) != (i - 1 in BIRDS)]
    assert [(names[i - 1], names[i]) for i in edges] == [
        ("stingray", "cock"),
        ("great grey owl", "European fire salamander"),
        ("centipede", "black grouse"),
        ("black swan", "tusker"),
        ("isopod", "white stork"),
        ("albatross", "grey whale"),
    ]
    assert not {names[i] for i in BIRDS} & {"tench", "tusker", "Chihuahua"}
