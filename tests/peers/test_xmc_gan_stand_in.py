"""The stand-in of XMC-GAN: sizes against ours, a whole step against the authors' trainer."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from peers.stand_in_steps import (  # noqa: E402
    check_steps,
    golden,
    iterate_as_published,
    our_parameters,
    part,
    stand_in,
)

NETWORK_OFF = ["loss.g.image_network=0.0"]
OF_PAPER = [
    f"{net}.{field}"
    for net in ("generator", "discriminator")
    for field in ("channels=96", "image_size=256")
]
OF_PAPER += ["generator.noise_dim=128", "generator.attend_from=32", "data.size=256"]
CASES = [
    ("xmc_gan:debug", []),
    ("xmc_gan:debug_released", ["recipe.group=2", "loss.g.perceptual=1.0"]),
    ("xmc_gan:debug", ["generator.attention=none", "loss.d.word=0.0", "loss.g.word=0.0"]),
]


@pytest.mark.parametrize(("spec", "overrides"), [*CASES, ("xmc_gan:debug", OF_PAPER)])
def test_it_trains_as_many_parameters_as_ours(spec, overrides):
    step = stand_in(spec, overrides, device="meta")
    assert step.parameters() == our_parameters(spec, overrides)


@pytest.mark.parametrize(
    ("spec", "overrides", "options"),
    [
        (*CASES[0], {"channels_last": True}),
        (*CASES[1], {"dtype": "bfloat16"}),
        (*CASES[1], {"lean": True}),
    ],
)
def test_steps_train_everything(spec, overrides, options):
    check_steps(stand_in(spec, overrides, **options))


LAYERS = {"Conv_0": "conv1", "Conv_1": "conv2", "Conv_2": "shortcut"}
LAYERS |= {f"Spectral{name}": layer for name, layer in LAYERS.items()}
NORMS = {"Dense_0": "gamma", "Dense_1": "beta", "Conv_0": "gamma", "Conv_1": "beta"}
TOP = {
    "g": {"Dense_0": "sentence", "Dense_1": "fc", "Conv_0": "query", "Conv_1": "image"},
    "d": {"SpectralConv_0": "regions", "SpectralDense_0": "answer", "SpectralDense_1": "sentence"},
}
BLOCKS = {"GenBlock": 0, "GenSpatialBlock": 2, "DiscOptimizedBlock": 0, "DiscBlock": 1}


def module_of(player: str, path: str) -> str:
    """A layer's path in the release as the stand-in has it."""
    parts = path.split("/")
    if parts[0] in TOP[player]:
        return TOP[player][parts[0]]
    if parts[0].startswith("LocalConditional"):
        return f"norm.{NORMS[parts[1]]}"
    kind, number = re.fullmatch(r"(\D+)_(\d)", parts[0]).groups()
    block = f"blocks.{BLOCKS[kind] + int(number)}"
    if len(parts) == 2:
        return f"{block}.{LAYERS[parts[1]]}"
    return f"{block}.norm{int(parts[1][-1]) + 1}.{NORMS[parts[2]]}"


def as_ours(module, leaf: str, x: np.ndarray, name: str) -> torch.Tensor:
    """A kernel or bias in torch's order; the first map of the release is channels last."""
    if name == "fc":
        x = np.moveaxis(x.reshape(*x.shape[:-1], 4, 4, -1), -1, -3).reshape(x.shape)
    if leaf == "kernel":
        x = x.transpose(3, 2, 0, 1) if x.ndim == 4 else x.T
        x = x.reshape(module.weight.shape)
    return torch.tensor(x)


def paired(net, player: str, arrays: dict):
    """(path, the stand-in's tensor, the golden one) of every array."""
    for path, x in arrays.items():
        where, leaf = path.rsplit("/", 1)
        name = module_of(player, where)
        module = net.get_submodule(name)
        if leaf == "bias":
            tensor = module.bias
        elif hasattr(module, "parametrizations"):
            tensor = module.parametrizations.weight.original
        else:
            tensor = module.weight
        yield path, tensor, as_ours(module, leaf, x, name)


def load(net, player: str, arrays: dict) -> None:
    """Gives a network its weights; all of them."""
    count = 0
    with torch.no_grad():
        for _, tensor, x in paired(net, player, arrays):
            tensor.copy_(x)
            count += x.numel()
    assert count == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("lean", [False, True])
def test_a_step_is_the_authors(golden_dir, lean):
    arrays = golden(golden_dir, "xmc_gan")
    size, g, d, embedding, _, noise, rows = (
        int(arrays[f"config/{k}"])
        for k in ("image_size", "gf_dim", "df_dim", "text_dim", "num_words", "z_dim", "batch")
    )
    overrides = [
        *(f"generator.channels={g}", f"generator.noise_dim={noise}", f"discriminator.channels={d}"),
        *(f"encoder.fields.embedding={embedding}", "recipe.group=0", *NETWORK_OFF),
    ]
    step = stand_in("xmc_gan:cub_released", overrides, rows=rows, lean=lean)
    assert step.config["generator"]["image_size"] == size
    (net,) = step.ds
    load(step.g, "g", part(arrays, "g_params/"))
    load(net, "d", part(arrays, "d_params/"))
    for path, u in part(arrays, "d_sn/").items():
        module = net.get_submodule(module_of("d", path.rsplit("/", 1)[0]))
        norm = module.parametrizations.weight[0]
        norm._u.copy_(torch.tensor(u).flatten() / float(np.linalg.norm(u)))
    iterate_as_published(net)
    texts, noises = [], []
    for i, name in enumerate(("in0", "in1")):
        x = {k: torch.tensor(v) for k, v in part(arrays, f"{name}/").items()}
        padding = torch.arange(x["embedding"].shape[1]) >= x["max_len"]
        texts.append((x["sentence_embedding"], x["embedding"], padding))
        step.batches[i] = (2.0 * x["image"].movedim(-1, 1) - 1.0, i)
        noises.append(x["z"])
    step.read, noises = lambda i: texts[i], iter(noises)
    step.normal = lambda *shape: next(noises)
    losses = step()

    def total(*names):
        return sum(losses[name] for name in names)

    found = {
        "d_loss": total("d/real", "d/fake", "d/sentence", "d/word"),
        "g_loss": total("g/fake", "g/sentence", "g/word", "g/image"),
        "c_loss_d": total("d/sentence", "d/word"),
        "c_loss_g": total("g/sentence", "g/word", "g/image"),
    }
    for name, value in found.items():
        assert value == pytest.approx(float(arrays[f"step/metric/{name}"]), rel=1e-3), name
    for trained, player, prefix in (
        (step.g, "g", "step/g_params/"),
        (net, "d", "step/d_params_second/"),
    ):
        for path, tensor, wanted in paired(trained, player, part(arrays, prefix)):
            tensor = tensor.detach()
            torch.testing.assert_close(tensor, wanted, rtol=0.0, atol=2e-5, msg=path)
