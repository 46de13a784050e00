"""The stand-ins of DF-GAN and RAT-GAN: sizes against ours, whole steps against the authors'."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from peers.stand_in_steps import (  # noqa: E402
    check_steps,
    golden,
    load,
    our_parameters,
    part,
    stand_in,
)

RELEASED = ["recipe.ma_gp_form=released"]
CAPTION = ["recipe.mismatch=caption", "data.mismatch=caption"]


@pytest.mark.parametrize(
    ("spec", "overrides"),
    [
        ("df_gan:debug", ()),
        ("df_gan:debug_released_2020", ()),
        ("df_gan:cub", ()),
        ("rat_gan:debug", ("generator.affines=6",)),
        ("rat_gan:debug_released", ("generator.recurrent=False",)),
        ("rat_gan:cub_released", ()),
    ],
)
def test_they_train_as_many_parameters_as_ours(spec, overrides):
    with torch.device("meta"):
        step = stand_in(spec, overrides, device="meta")
    assert step.parameters() == our_parameters(spec, overrides)


@pytest.mark.parametrize(
    ("spec", "overrides", "options"),
    [
        ("df_gan:debug", (), {"channels_last": True}),
        ("df_gan:debug_released_2020", CAPTION, {}),
        ("rat_gan:debug", (), {"dtype": "bfloat16"}),
        ("rat_gan:debug", ["discriminator.attention=softmax"], {"lean": True}),
    ],
)
def test_steps_train_everything(spec, overrides, options):
    # Larger rates: gates that start at 0 let little through in the first steps.
    check_steps(stand_in(spec, [*overrides, "optim.g.lr=0.02", "optim.d.lr=0.02"], **options))


def prepared(step, arrays: dict, noises):
    """The step with the golden file's data and noise."""
    step.real = torch.tensor(arrays["in/real_u8"]) / 127.5 - 1.0
    sentence, noises = torch.tensor(arrays["in/sent"]), iter(noises)
    step.read = lambda captions: sentence
    step.normal = lambda *shape: torch.tensor(next(noises))
    return step


def sized(arrays: dict) -> tuple[list[str], int]:
    size, channels, sentence, noise, rows = map(int, arrays["config"])
    both = {"image_size": size, "channels": channels}
    fields = {f"{net}.{k}": v for net in ("generator", "discriminator") for k, v in both.items()}
    fields |= {"generator.noise_dim": noise, "encoder.fields.embedding": sentence}
    return [f"{k}={v}" for k, v in fields.items()], rows


def of_generator(name: str) -> str:
    """A name of RAT-GAN's authors as the stand-in has it."""
    name = name.replace("conv_img.1", "to_rgb.1")
    for i in range(4):
        name = name.replace(f".affine{i}.", f".fuse{i // 2 + 1}.{i % 2}.")
    name = re.sub(r"(fuse[12])\.", r"\1.affine", name)
    return re.sub(r"^block(\d)\.", r"GBlocks.\1.", name)


def of_discriminator(name: str) -> str:
    """The same of D."""
    name = re.sub(r"^block(\d)\.", r"netD.DBlocks.\1.", name)
    name = re.sub(r"^conv_img\.", "netD.conv_img.", name)
    return name.replace("COND_DNET.", "netC.")


def check_trajectory(step, arrays: dict, order) -> None:
    """Three iterations on one batch: all losses as they occur, then D's first kernel."""
    losses = [step() for _ in range(3)]
    found = [[one[name] for name in order if name] for one in losses]
    wanted = arrays["train/loss"][:, [i for i, name in enumerate(order) if name]]
    np.testing.assert_allclose(found, wanted, rtol=2e-3)
    kernel = step.ds[0].netD.conv_img.weight.detach().numpy()
    expected = arrays["train/after_D_conv_img_weight"]
    np.testing.assert_allclose(kernel, expected, atol=2e-4)
    assert np.abs(kernel - arrays["D/conv_img.weight"]).max() > 5e-4  # it has moved


def test_df_gan_trains_as_the_authors_code_does(golden_dir):
    arrays = golden(golden_dir, "df_gan")
    overrides, rows = sized(arrays)
    step = stand_in("df_gan:debug", [*overrides, *RELEASED], rows=rows)
    load(step.g, part(arrays, "G/"))
    load(step.ds[0].netD, part(arrays, "D/"))
    load(step.ds[0].netC, part(arrays, "C/"))
    prepared(step, arrays, arrays["train/noise"])
    with torch.no_grad():
        fake = step.g(torch.tensor(arrays["in/noise"]), torch.tensor(arrays["in/sent"]))
    np.testing.assert_allclose(fake, arrays["outG/fake"], rtol=1e-4, atol=1e-5)
    order = ("d/real", "d/fake", "d/wrong", "d/ma_gp", None, "g/fake")
    check_trajectory(step, arrays, order)


def test_rat_gan_trains_as_the_authors_code_does(golden_dir):
    arrays = golden(golden_dir, "rat_gan_64")
    overrides, rows = sized(arrays)
    overrides.append(f"generator.state_dim={arrays['in/sent'].shape[1]}")
    step = stand_in("rat_gan:debug_released", [*overrides, "optim.d.eps=1e-8"], rows=rows)
    load(step.g, part(arrays, "G/"), of_generator)
    load(step.ds[0], part(arrays, "D/"), of_discriminator)
    prepared(step, arrays, arrays["train/noise"])
    with torch.no_grad():
        fake = step.g(torch.tensor(arrays["in/noise"]), torch.tensor(arrays["in/sent"]))
    np.testing.assert_allclose(fake, arrays["outG/fake"], rtol=1e-4, atol=1e-5)
    order = ("d/real", "d/fake", "d/wrong", None, "d/ma_gp", "g/fake")
    check_trajectory(step, arrays, order)


def test_rat_gan_attends_as_the_release_did(golden_dir):
    arrays = golden(golden_dir, "rat_gan")
    overrides, rows = sized(arrays)
    overrides += [f"generator.state_dim={arrays['in/sent'].shape[1]}", *RELEASED]
    overrides.append("discriminator.attention=softmax")
    step = stand_in("rat_gan:debug", overrides, rows=rows)
    load(step.g, part(arrays, "G/"), of_generator)
    load(step.ds[0], part(arrays, "D/") | part(arrays, "DA/"), of_discriminator)
    prepared(step, arrays, [arrays["in/noise"]])
    # At rates of 0 all losses are those of the weights that the file holds.
    for optimizer in step._optimizers.values():
        optimizer.param_groups[0]["lr"] = 0.0
    losses = step()
    order = ("d/real", "d/fake", "d/wrong", None, "d/ma_gp", "g/fake")
    for name, wanted in zip(order, arrays["outDA/loss"], strict=True):
        if name:
            assert losses[name] == pytest.approx(wanted, rel=1e-3), name
