"""The stand-ins of StackGAN, GAN-INT-CLS and AttnGAN: sizes against ours and the published, whole
steps against the authors', the image network against ours.
"""

import jax
import numpy as np
import pytest

from t2i_jax.encoders import inception_v3
from t2i_jax.profiling.passes import forward_runs
from t2i_jax.profiling.step_time import make_workload
from t2i_jax.training.fields import resolve
from t2i_jax.training.step import init_state, make_step

torch = pytest.importorskip("torch")

from peers.stand_in_steps import (  # noqa: E402
    check_steps,
    golden,
    load,
    our_parameters,
    part,
    stand_in,
)

# Parameters of G and D as the authors' modules have them.
PUBLISHED = {
    "stack_gan_v2:cub": (21_239_696, 5_723_906 + 18_834_178 + 71_269_122),
    "stack_gan_v2:cub_unconditional": (16_472_208, 2_765_569 + 15_875_841 + 68_310_785),
    "stack_gan_v1:coco_released": (20_020_832, 12_407_425),
    "gan_int_cls:cub": (18_905_472, 4_030_080),
    "gan_int_cls:coco": (41_101_080, 36_183_440),
    "attn_gan:cub": (7_084_592, 6_313_730 + 19_424_002 + 71_858_946),
    "attn_gan:coco": (13_811_456, 13_304_450 + 42_800_258 + 160_774_274),
}
OURS = (
    "stack_gan_v2:debug",
    "stack_gan_v2:debug_unconditional",
    "stack_gan_v1:debug",
    "stack_gan_v1:cub",
    "gan_int_cls:debug",
    "attn_gan:debug",
)


@pytest.mark.parametrize("spec", PUBLISHED)
def test_they_train_as_many_parameters_as_the_authors(spec):
    with torch.device("meta"):
        step = stand_in(spec, device="meta")
    assert tuple(step.parameters().values()) == PUBLISHED[spec]
    if spec == "attn_gan:cub":  # the published encoders of texts and images
        assert step.frozen() == 2_075_320 + 22_506_720


@pytest.mark.parametrize("spec", OURS)
def test_they_train_as_many_parameters_as_ours(spec):
    with torch.device("meta"):
        step = stand_in(spec, device="meta")
    assert step.parameters() == our_parameters(spec)


@pytest.mark.parametrize(
    ("spec", "overrides", "options"),
    [
        ("stack_gan_v2:debug", (), {"channels_last": True}),
        ("stack_gan_v2:debug_unconditional", (), {}),
        ("stack_gan_v1:debug", (), {"dtype": "bfloat16"}),
        ("stack_gan_v1:debug", ["recipe.mismatch=image", "data.mismatch=image"], {}),
        ("gan_int_cls:debug", (), {"lean": True}),
        ("gan_int_cls:debug", ["recipe.form=released"], {"lean": True}),
        ("attn_gan:debug", (), {"lean": True}),
        ("attn_gan:debug", ["recipe.mismatch=caption"], {"dtype": "bfloat16"}),
    ],
)
def test_steps_train_everything(spec, overrides, options):
    check_steps(stand_in(spec, overrides, **options))


@pytest.mark.parametrize(
    ("spec", "lean"),
    [
        ("stack_gan_v2:debug", False),
        ("stack_gan_v1:debug", False),
        ("gan_int_cls:debug", True),  # the port draws anew for G, ours does not
        ("attn_gan:debug", False),
    ],
)
def test_the_networks_pass_as_often_as_ours(spec, lean):
    """Over a batch: G, and the trunk of D."""
    work = make_workload(resolve(spec, ["data.batch=4"]).config)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), work.batch)
    frozen = work.system.variables
    recipe, options = work.system.recipe, work.options
    state = jax.eval_shape(lambda f, b: init_state(recipe, options, b, f), frozen, shapes)
    stacked = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), shapes)
    ours = forward_runs(make_step(recipe, options), state, stacked, frozen, rows=4)

    step, found = stand_in(spec, lean=lean), {"Generator": 0.0, "Discriminator.features": 0.0}

    def watch(name, nets):
        def count(net, args, output):
            found[name] += len(args[0]) / step.rows / len(nets)

        for net in nets:
            net.register_forward_hook(count)

    watch("Generator", [step.g])
    watch("Discriminator.features", [d.trunk for d in step.ds])
    step()
    assert found == pytest.approx({name: ours[name] for name in found})


def test_the_image_network_computes_what_ours_does():
    """With all weights and statistics carried over, at the smallest size."""
    from stand_ins.inception import InceptionV3

    generator = torch.Generator().manual_seed(0)
    net = InceptionV3().eval()
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
        elif isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
    units = [x for x in net.modules() if isinstance(x, torch.nn.Sequential) and is_unit(x)]
    variables = {"params": {}, "batch_stats": {}}
    for name, (conv, bn, _) in zip(inception_v3.unit_names(), units, strict=True):
        kernel = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
        scale = {"scale": bn.weight.detach().numpy(), "bias": bn.bias.detach().numpy()}
        statistics = {"mean": bn.running_mean.numpy(), "var": bn.running_var.numpy()}
        put(variables["params"], name, {"conv": {"kernel": kernel}, "bn": scale})
        put(variables["batch_stats"], name, {"bn": statistics})
    images = torch.rand(1, 3, 75, 75, generator=generator) * 2.0 - 1.0
    with torch.no_grad():
        found = net(images)
    apply = jax.jit(lambda v, x: inception_v3.InceptionV3().apply(v, x, train=False))
    ours = apply(variables, images.numpy().transpose(0, 2, 3, 1))
    for name in inception_v3.BLOCKS:
        value = found[name].numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(value, ours[name], atol=1e-5 * abs(value).max(), err_msg=name)


def is_unit(layers: torch.nn.Sequential) -> bool:
    """Whether it is a convolution with its batch norm."""
    return len(layers) == 3 and isinstance(layers[1], torch.nn.BatchNorm2d)


def put(tree: dict, path: str, value: dict) -> None:
    """Under a name with dots."""
    for key in path.split("."):
        tree = tree.setdefault(key, {})
    tree.update(value)


def filled(net, arrays: dict) -> dict[str, str]:
    """Loads the authors' state into a network whose layers stand in the same order: their name of
    each of its entries -> its own.
    """
    own = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    names = dict(zip(arrays, own, strict=True))
    counters = {
        name: x.numpy() for name, x in net.state_dict().items() if name not in names.values()
    }
    shaped = {  # a 1x1 convolution of words is a product here
        name: x.reshape(net.state_dict()[names[name]].shape) for name, x in arrays.items()
    }
    load(net, shaped | counters, lambda name: names.get(name, name))
    return names


def check_close(found, expected, what: str) -> None:
    """Within 1e-5, but for the few entries whose gradient is so small that its sign is rounding."""
    close = np.isclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert close.mean() > 0.98, f"{what}: {1 - close.mean():.1%} differ"


def check_after(net, names: dict[str, str], expected: dict) -> None:
    """The state of a network after the authors' step."""
    assert expected
    state = net.state_dict()
    for name, value in expected.items():
        check_close(state[names[name]], value, name)


def total(step, player: str, losses: dict[str, float]) -> float:
    """The weighted sum of a player's terms."""
    return step.total(player, {k: x for k, x in losses.items() if k.startswith(f"{player}/")})


def drawn(*values: np.ndarray):
    """A source of noise that gives these."""
    left = iter([torch.tensor(x) for x in values])
    return lambda *shape: next(left)


def test_a_step_of_stack_gan_v2_is_the_authors(golden_dir):
    file = golden(golden_dir, "stack_gan_v2")
    arrays = part(file, "cond/")
    sizes = ["generator.channels=4", "generator.condition_dim=8", "generator.noise_dim=6"]
    sizes += ["discriminator.channels=2", "encoder.fields.embedding=16", "recipe.condition=mean"]
    step = stand_in("stack_gan_v2:cub", sizes, rows=3)
    step.real = [torch.tensor(file[f"shared/real{s}_u8"]) / 127.5 - 1.0 for s in (64, 128, 256)]
    step.wrong = [x[file["shared/wrong_index"]] for x in step.real]
    step.sentence = torch.tensor(arrays["in/text_embedding"])
    step.normal = drawn(arrays["in/z"], arrays["in/eps"])
    # The authors' images heads stand behind their stages, here behind all stages.
    g = part(arrays, "G/")
    names = filled(step.g, {k: g[k] for k in sorted(g, key=lambda k: k.startswith("img_net"))})
    ds = [filled(d, part(arrays, f"D{64 * 2**i}/")) for i, d in enumerate(step.ds)]
    step.average = [p.detach().clone() for p in step.g.parameters()]
    losses = step()
    assert total(step, "d", losses) == pytest.approx(float(arrays["step/errD_total"]), rel=1e-3)
    assert total(step, "g", losses) == pytest.approx(float(arrays["step/errG_total"]), rel=1e-3)
    check_after(step.g, names, part(arrays, "step/G/"))
    for i, d in enumerate(step.ds):
        check_after(d, ds[i], part(arrays, f"step/D{64 * 2**i}/"))
    average = dict(zip(dict(step.g.named_parameters()), step.average, strict=True))
    for name, value in part(arrays, "step/ema/").items():
        check_close(average[names[name]], value, name)


def test_a_step_of_stack_gan_v1_is_the_authors(golden_dir):
    arrays = part(golden(golden_dir, "stack_gan_v1"), "s1/")
    sizes = ["generator.channels=4", "generator.condition_dim=8", "generator.noise_dim=6"]
    sizes += ["discriminator.channels=4", "encoder.fields.embedding=16"]
    step = stand_in("stack_gan_v1:coco_released", sizes, rows=3)
    step.real = torch.tensor(arrays["in/real_u8"]) / 127.5 - 1.0
    step.sentence = torch.tensor(arrays["in/text_embedding"])
    step.normal = drawn(arrays["in/z"], arrays["in/eps1"])
    g, d = filled(step.g, part(arrays, "G/")), filled(step.ds[0], part(arrays, "D/"))
    losses = step()
    assert total(step, "d", losses) == pytest.approx(float(arrays["step/errD"]), rel=1e-3)
    assert total(step, "g", losses) == pytest.approx(float(arrays["step/errG_total"]), rel=1e-3)
    check_after(step.g, g, part(arrays, "step/G/"))
    check_after(step.ds[0], d, part(arrays, "step/D/"))


def test_a_step_of_gan_int_cls_is_the_authors(golden_dir):
    arrays = golden(golden_dir, "gan_int_cls")
    sizes = ["generator.channels=4", "generator.text_dim=8", "generator.noise_dim=6"]
    sizes += ["discriminator.channels=4", "discriminator.text_dim=8"]
    released = ["recipe.form=released", "recipe.mismatch=image", "encoder.fields.embedding=16"]
    step = stand_in("gan_int_cls:cub", [*sizes, *released])
    step.real, step.wrong = (torch.tensor(arrays[f"in/{name}"]) for name in ("real", "wrong"))
    step.sentence = torch.tensor(arrays["in/text"])
    step.noise = drawn(*(arrays[f"in/noise_{player}"][:, :, 0, 0] for player in "dg"))
    g, d = filled(step.g, part(arrays, "g/")), filled(step.ds[0], part(arrays, "d/"))
    losses = step()
    assert total(step, "d", losses) == pytest.approx(float(arrays["step/errD"]), rel=1e-3)
    assert total(step, "g", losses) == pytest.approx(float(arrays["step/errG"]), rel=1e-3)
    check_after(step.g, g, part(arrays, "after/g/"))
    after = part(arrays, "after/d/")
    del after["fc/bias"]  # in front of a batch norm: its gradient is rounding
    check_after(step.ds[0], d, after)


def test_the_losses_of_attn_gan_are_the_authors(golden_dir):
    arrays = golden(golden_dir, "attn_gan")
    sizes = ["generator.channels=4", "generator.condition_dim=6", "generator.noise_dim=5"]
    sizes += ["generator.base_size=64", "generator.scales=3", "generator.residual_blocks=2"]
    sizes += ["discriminator.channels=3", "encoder.fields.embedding=8", "damsm.embedding=8"]
    # The file has losses without an update between those of D and of G.
    options = ["generator.mask_order=tiled", "optim.g.lr=0.0", "optim.d.lr=0.0"]
    step = stand_in("attn_gan:debug", [*sizes, *options], rows=3)
    real = torch.tensor(arrays["in/real256_u8"]) / 127.5 - 1.0
    step.real = [real[:, :, ::k, ::k] for k in (4, 2, 1)]
    sentence = torch.tensor(arrays["in/sent_emb"])
    words = torch.tensor(arrays["in/words_emb"]).mT
    step.encoder = lambda captions: (sentence, words)
    step.captions = 1 - torch.tensor(arrays["in/mask"]).long()
    step.labels = torch.tensor(arrays["in/class_ids"])
    to_regions, to_code = (torch.tensor(arrays[f"in/stub_{name}"]) for name in "AB")

    def looks(images):
        regions = to_regions @ images[:, :, 8::16, 8::16].flatten(2)
        return regions, regions.mean(2) @ to_code.T

    step.image_encoder = looks
    step.normal = drawn(arrays["in/z"], arrays["in/eps_ca"])
    g = part(arrays, "G/")
    filled(step.g, {k: g[k] for k in sorted(g, key=lambda k: k.startswith("img_net"))})
    for i, d in enumerate(step.ds):
        filled(d, part(arrays, f"D{i}/"))
    losses = step()
    expected = part(arrays, "G_loss/")
    found = {name: losses[f"g/damsm_{name}"] for name in ("words", "sentence")}
    assert found["words"] == pytest.approx(expected["w0"] + expected["w1"], rel=1e-3)
    assert found["sentence"] == pytest.approx(expected["s0"] + expected["s1"], rel=1e-3)
    assert losses["g/kl"] == pytest.approx(float(expected["kl"]), rel=1e-4)
    assert total(step, "g", losses) == pytest.approx(float(expected["total"]), rel=1e-3)
    of_d = sum(float(arrays[f"D{i}_loss/errD"]) for i in range(3))
    assert total(step, "d", losses) == pytest.approx(of_d, rel=1e-3)
