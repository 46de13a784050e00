"""The stand-in of DR-GAN: sizes against ours, steps that train."""

import pytest

torch = pytest.importorskip("torch")

from peers.stand_in_steps import check_steps, our_parameters, stand_in  # noqa: E402

# Of the authors' networks for birds, without what no loss reaches (`global_reductionxx` of two
# stages; the refinements in the largest D).
PUBLISHED = {"g": 22_100_160 - 34_304, "d": 8_492_370 + 11_835_474 + 25_075_282}


def test_it_has_the_published_size():
    assert stand_in("dr_gan:cub_released", device="meta").parameters() == PUBLISHED


@pytest.mark.parametrize("spec", ["dr_gan:debug", "dr_gan:debug_released"])
def test_it_trains_as_many_parameters_as_ours(spec):
    assert stand_in(spec, device="meta").parameters() == our_parameters(spec)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("dr_gan:debug", {"channels_last": True}),
        ("dr_gan:debug", {"dtype": "bfloat16"}),
        ("dr_gan:debug_released", {"lean": True}),
    ],
)
def test_steps_train_everything(spec, options):
    check_steps(stand_in(spec, **options))
