"""The stand-in of DR-GAN: sizes against ours, all losses of a step against the authors'."""

import re

import pytest

torch = pytest.importorskip("torch")

from peers.stand_in_steps import (  # noqa: E402
    check_steps,
    golden,
    iterate_as_published,
    load,
    our_parameters,
    part,
    stand_in,
)

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


FIRST = [(r"^h_net1\.fc\.", "first.fc."), (r"^h_net1\.upsample(\d)", lambda m: _up("first", m))]
OF_G = [
    *FIRST,
    (r"^ca_net\.", "ca."),
    (r"^img_net(\d)\.img\.", lambda m: f"heads.{int(m[1]) - 1}."),
    (r"^h_net(\d)\.", lambda m: f"stages.{int(m[1]) - 2}."),
    (r"att\.conv_context", "attention.project"),
    (r"residual0", "refine"),
    (r"upsample\.", "up."),
    (r"reduct_demension\.", "sdm.context_mask."),
    (r"reduct_demension2", "sdm.image_mask"),
    (r"global_reduction\.", "sdm.code."),
    (r"img_code_sxx", "sdm.encode"),
]
OF_D = [
    *FIRST,
    (r"^first\.", "dnm.decoder."),
    (r"^ca_net\.", "dnm.ca."),
    (r"^img_code_s16\.(\d)", lambda m: f"trunk.down.{int(m[1]) // 2}.0"),
    (r"^img_code_s32\.", "trunk.down.4."),
    (r"^img_code_s64\.", "trunk.down.5."),
    (r"^img_code_s(?:32|64)_(\d)\.", lambda m: f"trunk.look.{int(m[1]) - 1}."),
    (r"^img_code_s1\.0", "dnm.image"),
    (r"^global_reduction\.", "dnm.project."),
    (r"^UNCOND_DNET\.outlogits\.0", "real"),
    (r"^COND_DNET\.outlogits\.0", "cond_logit"),
    (r"^COND_DNET\.jointConv", "join"),
    (r"\.module\.weight_bar", ".parametrizations.weight.original"),
    (r"\.module\.weight_([uv])", r".parametrizations.weight.0._\1"),
    (r"\.module\.bias", ".bias"),
]


def _up(stage, found):
    return f"{stage}.ups.{int(found[1]) - 1}"


def renamed(rules):
    """From the authors' names to the stand-in's."""

    def rename(name):
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        return name

    return rename


def given(net, arrays, rules) -> None:
    """Loads a network; linear layers are 1x1 convolutions in the release."""
    rename, own = renamed(rules), net.state_dict()
    arrays = {k: v for k, v in arrays.items() if rename(k) in own}
    counters = {k: v.numpy() for k, v in own.items() if k.endswith("num_batches_tracked")}
    arrays = {k: v.reshape(own[rename(k)].shape) for k, v in arrays.items()}
    load(net, arrays | counters, rename)


def test_all_losses_are_the_authors(golden_dir, monkeypatch):
    arrays = golden(golden_dir, "dr_gan")
    g, d, e, condition, noise, _, blocks, _ = (int(x) for x in part(arrays, "config/").values())
    fields = {"channels": g, "condition_dim": condition, "noise_dim": noise, "scales": 3}
    fields |= {"residual_blocks": blocks, "base_size": 64, "mask_order": "tiled"}
    overrides = [f"generator.{k}={v}" for k, v in fields.items()]
    overrides += [f"discriminator.channels={d}", f"discriminator.condition_dim={condition}"]
    overrides += [f"encoder.fields.embedding={e}", "recipe.dnm_scales=(1e-06,0.0001,0.01)"]
    step = stand_in("dr_gan:debug_released", overrides, rows=3)
    given(step.g, part(arrays, "G/"), OF_G)
    for i, net in enumerate(step.ds):
        given(net, part(arrays, f"D{i}/"), OF_D)
        iterate_as_published(net)
    x = {k: torch.tensor(v) for k, v in part(arrays, "in/").items()}
    largest = x["real256_u8"] / 127.5 - 1.0
    step.real = [largest[..., ::4, ::4], largest[..., ::2, ::2], largest]
    step.read = lambda: ((x["sent_emb"], x["words_emb"].mT, x["mask"]), None)
    step.noise, step.labels = lambda: (x["z"], x["eps_ca"]), x["class_ids"]
    eps = iter(x["eps_D"])
    monkeypatch.setattr(torch, "randn", lambda *shape, device: next(eps))

    def encode(images):
        grid = torch.einsum("ec,bchw->behw", x["stub_A"], images[:, :, 8::16, 8::16])
        return grid.flatten(2), grid.mean((2, 3)) @ x["stub_B"].T

    step.image_encoder = encode
    # The file's losses are all of the stored weights: D is put back before G looks at it.
    stored = [{k: v.clone() for k, v in net.state_dict().items()} for net in step.ds]

    def descend(net, player, losses):
        if player == "d":
            net.load_state_dict(stored[step.ds.index(net)])

    step.descend = descend
    losses = step()

    def over_scales(name, factors=(1.0, 1.0, 1.0)):
        return sum(f * float(arrays[f"D{i}_loss/{name}"]) for i, f in enumerate(factors))

    of_g = {k: float(v) for k, v in part(arrays, "G_loss/").items() if v.ndim == 0}
    weights = step.config["loss"]["d"]
    adversarial = ("real", "fake", "wrong", "uncond_real", "uncond_fake")
    found = {
        "adv": (sum(weights[k] * losses[f"d/{k}"] for k in adversarial), over_scales("adv")),
        "real": (losses["d/dnm_real"], over_scales("rec_norm_real")),
        "fake": (losses["d/dnm_fake"], over_scales("rec_norm_fake")),
        "kl_real": (losses["d/dnm_kl_real"], over_scales("kl_real")),
        "g": (
            losses["g/fake"] + losses["g/uncond_fake"],
            sum(of_g[f"g_loss{i}"] for i in range(3)),
        ),
        "dal": (
            losses["g/dnm_image"],
            sum(10.0 ** (2 * i - 6) * of_g[f"dal_norm{i}"] for i in range(3)),
        ),
        "words": (losses["g/damsm_words"], of_g["w0"] + of_g["w1"]),
        "sentence": (losses["g/damsm_sentence"], of_g["s0"] + of_g["s1"]),
        "kl": (losses["g/kl"], of_g["kl"]),
        "sdl": (losses["g/sdl"] + 1e-5 * losses["g/rirm"], of_g["sdl"]),
        "rirm": (
            losses["g/rirm"],
            sum(float(arrays[f"train/gnet/loss_gtimage{i}"]) for i in (1, 2)),
        ),
    }
    for name, (ours, authors) in found.items():
        assert ours == pytest.approx(authors, rel=2e-4), name
