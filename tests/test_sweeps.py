"""Every ablation file is overrides only, and each entry fits the config it is meant for."""

import pathlib

import pytest

from t2i_jax.sweeps import entries
from t2i_jax.training import fields, modules

ROOT = pathlib.Path(__file__).resolve().parent.parent
SWEEPS = sorted((ROOT / "configs" / "ablations").glob("*.py"))


def base_config(sweep: pathlib.Path) -> str:
    """The config whose name the sweep's begins with; AttnGAN's for sweeps of several systems."""
    stems = [p.stem for p in (ROOT / "configs").glob("*.py") if sweep.stem.startswith(p.stem)]
    return max(stems, key=len, default="attn_gan")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_entries_build_their_recipes(path):
    found = entries.load(str(path))
    assert len(found) > 1
    trainings = []
    for entry in found:
        name, _, arg = (entry.config or base_config(path)).partition(":")
        config = fields.resolve(f"{name}:{arg or 'cub'}", entry.overrides).config
        modules.make_recipe(config)
        trainings.append(config.to_json())
    assert len(set(trainings)) == len(trainings), "two entries are the same training"


ADVERSARIAL = {"real", "fake", "uncond_real", "uncond_fake"}
HEADS = {
    "two_heads": ["attn_gan", "dm_gan", "dr_gan", "stack_gan_v1", "stack_gan_v2"],
    "one_head": ["gan_int_cls", "xmc_gan"],
    "one_stage": ["rat_gan", "df_gan"],
}


@pytest.mark.parametrize(("arg", "system"), [(a, name) for a in HEADS for name in HEADS[a]])
def test_what_holds_back_d_in_every_system(arg, system):
    """Which terms are weighed, beside mismatched pairs and terms that are the system's own."""
    published, found = arg == "one_stage", {}
    for entry in entries.load(f"{ROOT}/configs/ablations/regularizers.py:{arg}"):
        name = entry.name
        config = fields.resolve(f"{ROOT}/configs/{system}.py:debug", entry.overrides).config
        assert bool(config.recipe.augment) == name.endswith("_augment")
        weights = modules.loss_weights(config)
        terms = {"r1", "r2", "ma_gp", "relativistic", *ADVERSARIAL}
        named = {k.removeprefix("d.") for k in weights if k.startswith("d.")} & terms
        found[name.removesuffix("_augment")] = named
        assert weights.get("d.ma_gp") in (None, 1.0 if published else 1e-4)
        of_g = weights.keys() & {"g.relativistic", "g.fake", "g.uncond_fake"}
        assert ("g.relativistic" in of_g) == ("g.fake" not in of_g) == ("relativistic" in name)
        assert not ("relativistic" in name and "g.uncond_fake" in of_g)
    usual = found["none"]
    assert {"real", "fake"} <= usual <= ADVERSARIAL
    assert found == {
        "none": usual,
        "r1": usual | {"r1"},
        "r2": usual | {"r2"},
        "r1_r2": usual | {"r1", "r2"},
        "ma_gp": usual | {"ma_gp"},
        "relativistic": {"r1", "r2", "relativistic"},
    }


def test_the_four_models_of_gan_int_cls():
    """Reed et al. (2016): which terms each model has (Algorithm 1 and equation 5)."""
    terms = {}
    for entry in entries.load(str(ROOT / "configs/ablations/gan_int_cls_losses.py")):
        config = fields.resolve(str(ROOT / "configs/gan_int_cls.py"), entry.overrides).config
        terms[entry.name] = modules.loss_weights(config)
    gan = {"d.real": 1.0, "d.fake": 1.0, "g.fake": 1.0}
    matching = {"d.real": 1.0, "d.wrong": 0.5, "d.fake": 0.5, "g.fake": 1.0}
    assert terms == {
        "gan": gan,
        "gan_cls": matching,
        "gan_int": {**gan, "g.interp": 1.0},
        "gan_int_cls": {**matching, "g.interp": 1.0},
    }


def test_the_components_of_stack_gan_v1():
    """Zhang et al. (2017), component analysis: size, conditioning augmentation, text in the last
    stage, and the first stage of each of the ten models.
    """
    found = {}
    for entry in entries.load(str(ROOT / "configs/ablations/stack_gan_v1_components.py")):
        name = entry.config or "stack_gan_v1"
        config = fields.resolve(f"{name}:cub", entry.overrides).config
        modules.make_recipe(config)
        generator, size, first = config.generator, config.data.size, None
        assert generator.image_size == config.discriminator.image_size == size
        augment, text = generator.augment, generator.get("text", True)
        assert bool(config.loss.g.kl) == (augment and text)
        if config.frozen:  # an earlier entry
            first = found[config.frozen.stage1.removeprefix("{workdir}/")]
            assert generator.residual_blocks == {128: 2, 256: 4}[size]
        found[entry.name] = (size, augment, text, first)
    stage1, no_ca = (64, True, True, None), (64, False, True, None)
    assert list(found.values()) == [
        stage1,
        no_ca,
        (256, True, True, None),
        (256, False, True, None),
        (128, True, True, stage1),
        (128, False, True, no_ca),
        (128, True, False, stage1),
        (256, True, True, stage1),
        (256, False, True, no_ca),
        (256, True, False, stage1),
    ]
