"""What the stand-ins of DF-GAN and RAT-GAN share: layers and the train step.

The step's passes are those of the authors' loops. D: the trunk over real images once, the head over
their pairs, right and wrong; G; trunk and head over the fakes. DF-GAN of 2022 differentiates the
penalty through D's pass over the real pairs and takes everything in one update
(``penalty_update="shared"``). DF-GAN of 2020 and RAT-GAN update D first, then look at the real
pairs again for the penalty, in an update of its own. G: the updated D over the same fakes.

Layers work on the upsampled maps and 1x1 convolutions before pooling, as in the authors' code.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins.base import GanStep
from stand_ins.blocks import tiled
from stand_ins.damsm import TextEncoder


def widths(size: int, widest: int) -> list[int]:
    """Of the maps of side `size`, half of it, ..., 4, in units of the channel base."""
    return [min(2**i, widest) for i in range(size.bit_length() - 2)]


def perceptron(inputs: int, hidden: int, outputs: int, start: float) -> nn.Sequential:
    """With one hidden layer; gives `start` before it is trained."""
    layers = OrderedDict(
        linear1=nn.Linear(inputs, hidden), relu1=nn.ReLU(True), linear2=nn.Linear(hidden, outputs)
    )
    nn.init.zeros_(layers["linear2"].weight)
    nn.init.constant_(layers["linear2"].bias, start)
    return nn.Sequential(layers)


class Affine(nn.Module):
    """A scale and a shift of every channel, from the condition."""

    def __init__(self, channels: int, condition: int, hidden: int):
        super().__init__()
        self.fc_gamma = perceptron(condition, hidden, channels, 1.0)
        self.fc_beta = perceptron(condition, hidden, channels, 0.0)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.fc_gamma(condition), self.fc_beta(condition)
        return scale[..., None, None] * x + shift[..., None, None]


class Fusion(nn.ModuleDict):
    """Affine layers, each followed by a LeakyReLU. hidden: of their perceptrons; 0: `channels`."""

    def __init__(self, count: int, channels: int, condition: int, hidden: int):
        layers = (Affine(channels, condition, hidden or channels) for _ in range(count))
        super().__init__({f"affine{i}": layer for i, layer in enumerate(layers)})

    def forward(self, x: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        for layer, condition in zip(self.values(), conditions, strict=True):
            x = F.leaky_relu(layer(x, condition), 0.2, inplace=True)
        return x


class UpBlock(nn.Module):
    """A residual block of the generators; `gated` by a learned factor."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition: int,
        affines: int,
        hidden: int,
        upsample: bool,
        gated: bool,
    ):
        super().__init__()
        self.upsample, self.half = upsample, affines // 2
        self.fuse1 = Fusion(self.half, inputs, condition, hidden)
        self.fuse2 = Fusion(self.half, outputs, condition, hidden)
        self.c1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.c2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.c_sc = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.gamma = nn.Parameter(torch.zeros(1)) if gated else None

    def forward(self, x: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        x = F.interpolate(x, scale_factor=2) if self.upsample else x
        h = self.c1(self.fuse1(x, conditions[: self.half]))
        h = self.c2(self.fuse2(h, conditions[self.half :]))
        return self.c_sc(x) + (h if self.gamma is None else self.gamma * h)


class Decoder(nn.Module):
    """Noise [B, Z] and a condition for every affine layer in turn -> images.

    options: the section ``generator`` of the config. first_block: a block on the 4x4 map.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        condition: int,
        hidden: int,
        first_block: bool = True,
        gated: bool = True,
    ):
        super().__init__()
        self.affines = options["affines"]
        sizes = [options["channels"] * m for m in reversed(widths(options["image_size"], 8))]
        self.first = sizes[0]
        outputs = sizes if first_block else sizes[1:]
        self.fc = nn.Linear(options["noise_dim"], 16 * self.first)
        common = dict(condition=condition, affines=self.affines, hidden=hidden, gated=gated)
        self.GBlocks = nn.ModuleList(
            UpBlock(i, o, upsample=n > 0 or not first_block, **common)
            for n, (i, o) in enumerate(zip([self.first, *outputs[:-1]], outputs, strict=True))
        )
        last = nn.Conv2d(sizes[-1], 3, 3, padding=1)
        self.to_rgb = nn.Sequential(nn.LeakyReLU(0.2, inplace=True), last, nn.Tanh())

    @property
    def steps(self) -> int:
        """How many conditions it takes."""
        return self.affines * len(self.GBlocks)

    def decode(self, z: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        """[B, 3, S, S] in [-1, 1]."""
        x = self.fc(z).view(-1, self.first, 4, 4)
        for i, block in enumerate(self.GBlocks):
            x = block(x, conditions[self.affines * i : self.affines * (i + 1)])
        return self.to_rgb(x)


class DownBlock(nn.Module):
    """A residual block of the discriminators: halves the side."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv_r = nn.Sequential(
            nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.conv_s = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv_s(x), 2) + self.gamma * self.conv_r(x)


class Trunk(nn.Module):
    """Images [B, 3, S, S] -> a map [B, outputs, last, last]."""

    def __init__(self, channels: int, size: int, widest: int, last: int = 4):
        super().__init__()
        halvings = (size // last).bit_length() - 1
        sizes = [channels * m for m in widths(size, widest)[: halvings + 1]]
        self.outputs = sizes[-1]
        self.conv_img = nn.Conv2d(3, channels, 3, padding=1)
        self.DBlocks = nn.Sequential(*map(DownBlock, sizes[:-1], sizes[1:]))

    def forward(self, images: Tensor) -> Tensor:
        return self.DBlocks(self.conv_img(images))


class Verdict(nn.Module):
    """A map [B, C, 4, 4] and a sentence [B, E] -> logits [B]."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.joint_conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(hidden, 1, 4, bias=False),
        )

    def forward(self, x: Tensor, sentence: Tensor) -> Tensor:
        return self.joint_conv(torch.cat([x, tiled(sentence, x)], 1)).flatten()


class OneStageStep(GanStep):
    """The step of both systems. `networks` gives the generator, called with (z, sentence), and one
    module with the parts ``netD``, from images to a map, and ``netC``, from map and sentence to
    logits.
    """

    def networks(self, sentence: int) -> tuple[nn.Module, nn.Module]:
        """G and D for sentence vectors of that size."""
        raise NotImplementedError

    def build(self) -> tuple[nn.Module, Sequence[nn.Module]]:
        """ValueError for options that have no form here."""
        if self.config["discriminator"]["two_way"] or self.config["recipe"]["augment"]:
            raise ValueError("the stand-in has no two_way and no augment")
        self.encoder = self.freeze(TextEncoder(self.config["encoder"]["fields"]))
        self.captions, self.others = (self.tokens(self.encoder.vocabulary) for _ in range(2))
        self.real = self.images(self.config["generator"]["image_size"])
        g, d = self.networks(self.sentence_size())
        return g, [d]

    def update(self) -> dict[str, Tensor]:
        """D's hinge terms and its penalty, then G's term."""
        (d,), recipe = self.ds, self.config["recipe"]
        shared = recipe["penalty_update"] == "shared"
        with self.autocast():
            sentence = self.read(self.captions)
            pair = inputs(self.real, sentence) if shared else (self.real, sentence)
            features = d.netD(pair[0])
            fits = d.netC(features, pair[1])
            wrong = d.netC(*self.wrong_pairs(features, pair[1]))
            fake = self.g(self.normal(self.config["generator"]["noise_dim"]), sentence)
            judged = d.netC(d.netD(fake.detach()), sentence)
            losses = {
                "d/real": F.relu(1.0 - fits.float()).mean(),
                "d/wrong": F.relu(1.0 + wrong.float()).mean(),
                "d/fake": F.relu(1.0 + judged.float()).mean(),
            }
        if shared:
            losses["d/ma_gp"] = self.matching_aware(fits, *pair)
            self.descend(d, "d", losses)
        else:
            self.descend(d, "d", losses)
            pair = inputs(self.real, sentence)
            with self.autocast():
                fits = d.netC(d.netD(pair[0]), pair[1])
            losses["d/ma_gp"] = self.matching_aware(fits, *pair)
            self.descend(d, "d", {"d/ma_gp": losses["d/ma_gp"]})
        with self.autocast():
            losses["g/fake"] = -d.netC(d.netD(fake), sentence).float().mean()
        self.descend(self.g, "g", {"g/fake": losses["g/fake"]})
        return losses

    @torch.no_grad()
    def read(self, captions: Tensor) -> Tensor:
        """Sentence vectors [B, E] of the frozen encoder."""
        return self.encoder(captions)[0]

    def wrong_pairs(self, features: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """As the config's mismatch has them."""
        kind = self.config["recipe"]["mismatch"]
        if kind == "roll":
            return features.roll(-1, 0), sentence
        if kind == "shift":
            return features[:-1], sentence[1:]
        return features, self.read(self.others)

    def matching_aware(self, fits: Tensor, images: Tensor, sentence: Tensor) -> Tensor:
        """The penalty on the slope of the logits in both inputs."""
        recipe = self.config["recipe"]
        slopes = torch.autograd.grad(fits.float().sum(), (images, sentence), create_graph=True)
        if recipe["ma_gp_form"] == "released":
            norm = torch.cat([x.flatten(1) for x in slopes], 1).norm(dim=1)
        else:
            norm = sum(x.flatten(1).norm(dim=1) for x in slopes)
        return recipe["ma_gp_scale"] * norm.pow(recipe["ma_gp_exponent"]).mean()


def inputs(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same numbers, to be differentiated by."""
    return tuple(x.detach().requires_grad_() for x in tensors)
