"""Every config that comes with the package can be measured with nothing but the package."""

import pathlib

import flax.linen as nn
import jax
import pytest
from known_configs import CONFIGS, arguments

from t2i_jax.encoders.damsm import CompactImageEncoder, ImageEncoder
from t2i_jax.encoders.resnet_50 import ResNet50
from t2i_jax.encoders.vgg import Vgg
from t2i_jax.profiling import missing, step_time
from t2i_jax.training import fields, modules
from t2i_jax.training.step import init_state

VGG_16 = Vgg(16, "relu4_3")


@pytest.fixture(autouse=True)
def nothing_is_there(monkeypatch):
    monkeypatch.setattr(missing.networks, "exists", lambda source: False)


def config_of(spec: str, **changes):
    return fields.resolve(spec, {"data.data_dir": "nowhere", **changes}).config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_no_argument_needs_a_network_that_is_elsewhere(path):
    for arg in arguments(path):
        config = config_of(f"{path}:{arg}")
        with missing.replaced(config) as (needs_nothing, notes):
            assert needs_nothing.encoder.source in ("", "random"), arg
            for name, source in needs_nothing.frozen.items():
                assert source == "" or (source == "random" and name in needs_nothing), arg
            if needs_nothing.tokenizer.name == "wordpiece":
                assert pathlib.Path(needs_nothing.tokenizer.path).is_file(), arg
        sources = {config.encoder.source, *config.frozen.values()} - {"", "random"}
        assert bool(notes) == bool(sources), arg
        for source in sources:
            assert any(source in note for note in notes), (arg, source, notes)


@pytest.mark.parametrize(
    ("spec", "changes", "name", "network"),
    [
        ("attn_gan:cub", {}, "damsm", ImageEncoder(embedding=256)),
        ("attn_gan:cub", {"frozen.damsm": "random"}, "damsm", ImageEncoder(embedding=256)),
        ("attn_gan:toy_birds", {}, "damsm", CompactImageEncoder),
        ("xmc_gan:ln_coco", {}, "image_network", Vgg(19)),
        ("xmc_gan:coco", {"frozen.image_network": "vgg16.pth:relu4_3"}, "image_network", VGG_16),
        ("xmc_gan:coco_released", {}, "image_network", ResNet50()),
    ],
)
def test_what_the_papers_look_with(spec, changes, name, network):
    with missing.replaced(config_of(spec, **changes)) as (config, _):
        found = modules.construct(nn.Module, config[name], name)
    assert isinstance(found, network) if isinstance(network, type) else found == network


@pytest.mark.parametrize(
    "spec",
    [
        "attn_gan:toy_birds",
        "damsm:folder_minilm",
        "stack_gan_v1_stage2:folder_small",
        "style_encoder:folder_small",
        "toy_attributes:toy_birds",
    ],
)
def test_the_networks_fit_each_other(spec):
    """The state is shaped as by a training; nothing is drawn or run."""
    work = step_time.make_workload(config_of(spec), jax.eval_shape)
    assert work.source is None and "nowhere" in work.notes[-1]
    variables = work.system.variables
    assert all(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(variables))
    state = jax.eval_shape(
        lambda f: init_state(work.system.recipe, work.options, work.batch, f), variables
    )
    assert jax.tree.leaves(state.params)


def test_published_sizes():
    """BERT-Base has 109 million parameters with its pooler, VGG-19's convolutions 20.0 million."""
    work = step_time.make_workload(config_of("xmc_gan:coco"), jax.eval_shape)
    sizes = {
        name: sum(x.size for x in jax.tree.leaves(tree))
        for name, tree in work.system.variables.items()
    }
    pooler = 768 * 768 + 768
    assert sizes["encoder"] == 109_482_240 - pooler
    assert sizes["image_network"] == 20_024_384


def test_given_sizes_stay():
    changes = {"encoder.source": "runs/none", "encoder.fields.embedding": 48}
    with missing.replaced(config_of("df_gan:cub", **changes)) as (config, notes):
        assert config.encoder.fields.embedding == 48 and "damsm:cub" in notes[0]
    with missing.replaced(config_of("df_gan:toy_birds")) as (config, _):
        assert config.encoder.fields.embedding == 128  # what damsm:toy_birds trains
