"""A training whose images are compared by a published network, from its file on."""

import jax
import numpy as np
from parity._xmc_gan import image_network
from tiny_runs import ROOT

from t2i_jax.training import fields, loop, networks, runs


def test_the_resnet_of_the_xmc_gan_release(data_dir, one_device, golden_dir, tmp_path):
    """From the pickle that was published, with the weights of tests/parity, to a step by it."""
    with np.load(golden_dir / "xmc_gan.npz") as golden:
        module, variables = image_network(golden)
    path, workdir = tmp_path / "resnet_pretrained.npy", tmp_path / "run"
    np.save(path, np.array(variables, object), allow_pickle=True)
    changes = ["data.batch=2", "d_steps=1", "train.duration=1 steps", "train.sample_every=0 steps"]
    given = [f"data.data_dir={data_dir}", f"frozen.image_network={path}", *changes]
    metrics = loop.train(fields.resolve(f"{ROOT}/configs/xmc_gan.py:debug", given).config, workdir)
    assert np.isfinite(metrics["g/image_network"]) and metrics["g/grad_norm"] > 0
    kept = networks.load(workdir, "image_network")
    assert kept.module == module
    jax.tree.map(np.testing.assert_array_equal, kept.variables, variables)
    described = runs.read_config(workdir).image_network
    assert described.module == "t2i_jax.encoders.resnet_50:ResNet50"
