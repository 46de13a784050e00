"""DR-GAN's networks under torch: AttnGAN's with the Semantic Disentangling Module in G's stages,
and spectrally normalised discriminators with the Distribution Normalization Module. What the
authors' code makes and never uses is left out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stand_ins.attn_gan import WordAttention
from stand_ins.blocks import (
    ConditioningAugmentation,
    FirstStage,
    Glu,
    Logit,
    Residual,
    conv3,
    leaky,
    normed,
    tiled,
    up_block,
)

Pair = tuple[Tensor, Tensor]  # key features, and the rest


class Split(NamedTuple):
    """What the losses of a stage compare: maps, or in the released form vectors [B, C].

    again: the real image, decoded from its features.
    """

    image: Pair
    context: Pair
    real: Tensor
    again: Tensor


def image_head(width: int, convs: int) -> nn.Sequential:
    """A map to an image in [-1, 1]; the convolutions halve the width."""
    layers = []
    for _ in range(convs - 1):
        half = max(1, width // 2)
        layers += normed(conv3(width, half), nn.Tanh())
        width = half
    return nn.Sequential(*layers, conv3(width, 3), nn.Tanh())


class Disentangling(nn.Module):
    """Masks that split features into key ones and the rest, and the encoder of real images."""

    def __init__(self, width: int, form: str, scale: float):
        super().__init__()
        self.released, self.scale = form == "released", scale
        self.context_mask, self.image_mask = self.mask(width), self.mask(width)
        half = max(1, width // 2)
        first = nn.Conv2d(3, half, 2, padding=1, bias=False)
        second = nn.Conv2d(half, width, 2, bias=False)
        self.encode = nn.Sequential(*normed(first, leaky()), *normed(second))
        if self.released:
            self.code = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(True))

    def mask(self, width: int) -> nn.Sequential:
        """Logits, of every channel or in the paper's form of all together."""
        if self.released:
            last = normed(nn.Conv2d(width, width, 1, bias=False))
            return nn.Sequential(*normed(conv3(width, width), leaky()), *last)
        first = nn.Conv2d(width, width, 3, padding=1)
        return nn.Sequential(first, nn.ReLU(True), nn.Conv2d(width, 1, 1))

    def split(self, x: Tensor, mask: nn.Module) -> Pair:
        """The key features and the rest."""
        logits = mask(x)
        key = x * torch.sigmoid(logits * (self.scale or 1.0 / len(x)) if self.released else logits)
        return key, x - key

    def forward(self, x: Tensor, context: Tensor) -> tuple[Pair, Pair]:
        """(of the image's map, of its context)."""
        context = self.split(context, self.context_mask)
        return self.split(x, self.image_mask), context

    def compared(self, image: Pair, context: Pair, real: Tensor, again: Tensor) -> Split:
        """What the losses compare; vectors in the released form, in its order of passes."""
        if self.released:
            context, image = (
                tuple(self.code(x.mean((2, 3))) for x in pair) for pair in (context, image)
            )
            real = self.code(real.mean((2, 3)))
        return Split(image, context, real, again)


class NextStage(nn.Module):
    """A map [B, W, H, H] and words -> [B, W, 2H, 2H]."""

    def __init__(self, config: Mapping[str, Any], words: int):
        super().__init__()
        width, blocks = config["channels"], range(config["residual_blocks"])
        self.attention = WordAttention(width, words, config["mask_order"] == "tiled")
        self.refine = nn.Sequential(*(Residual(width) for _ in blocks))
        self.sdm = Disentangling(width, config["sdm_form"], config["sdm_mask_scale"])
        self.residual = nn.Sequential(*(Residual(2 * width) for _ in blocks))
        self.up = up_block(2 * width, width)

    def forward(self, x: Tensor, words: Tensor, padding: Tensor) -> tuple[Tensor, Pair, Pair]:
        """(the next map, the split image, the split context)."""
        context = self.refine(self.attention(x, words, padding).to(x.dtype))
        image, context = self.sdm(x, context)
        return self.up(self.residual(torch.cat([image[0], context[0]], 1))), image, context


class Generator(nn.Module):
    """Noise, a sentence and words to an image a scale. config: the section of our config."""

    def __init__(self, config: Mapping[str, Any], embedding: int):
        super().__init__()
        width, condition, later = config["channels"], config["condition_dim"], config["scales"] - 1
        self.ca = ConditioningAugmentation(embedding, condition, Glu(), config["augment"])
        self.first = FirstStage(condition + config["noise_dim"], width, config["base_size"])
        self.stages = nn.ModuleList(NextStage(config, embedding) for _ in range(later))
        convs = config["head_convs"]
        self.heads = nn.ModuleList(image_head(width, convs) for _ in range(later + 1))

    def forward(self, z, eps, sentence, words, padding, real=None):
        """(images, mu, logvar, what the losses of the later stages compare); real: images of all
        scales, or None: nothing is compared.
        """
        condition, mu, logvar = self.ca(sentence, eps)
        x = self.first(torch.cat([condition, z], 1))
        images, compared = [self.heads[0](x).float()], []
        for i, stage in enumerate(self.stages):
            x, image, context = stage(x, words, padding)
            if real is not None:
                features = stage.sdm.encode(real[i])
                again = self.heads[i](features)
                compared.append(stage.sdm.compared(image, context, features, again))
            images.append(self.heads[i + 1](x).float())
        return images, mu, logvar, compared


def spectral(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A normalised convolution with bias, and its activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=1)
    return nn.Sequential(spectral_norm(conv, eps=1e-12), leaky())


class Trunk(nn.Module):
    """Images [B, 3, S, S] -> (the map that the heads judge, the widest map), both of side 4."""

    def __init__(self, size: int, width: int):
        super().__init__()
        downs = size.bit_length() - 3
        widths = [width * 2**i for i in range(downs)]
        pairs = zip([3, *widths[:-1]], widths, strict=True)
        self.down = nn.Sequential(*(spectral(*pair, 4, 2) for pair in pairs))
        self.deep = self.last = widths[-1]
        looks = []
        while self.last > 8 * width:
            looks.append(spectral(self.last, self.last // 2))
            self.last //= 2
        self.look = nn.Sequential(*looks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.down(images)
        return self.look(deep), deep


class Normalization(nn.Module):
    """The widest map and the sentence to the image again: (image, mu, logvar)."""

    def __init__(self, deep: int, sentence: int, condition: int, width: int, side: int, form: str):
        super().__init__()
        self.project = nn.Sequential(
            nn.Linear(deep, sentence), nn.BatchNorm1d(sentence), nn.ReLU(True)
        )
        self.ca = ConditioningAugmentation(sentence, condition, Glu())
        ups = (side // 4).bit_length() - 1
        last = max(1, width >> ups)
        self.decoder = FirstStage(2 * condition, last, side)
        self.image = nn.Conv2d(last, 3, 1, bias=False)
        self.released = form == "released"

    def forward(self, deep: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = self.project(deep.mean((2, 3)))
        eps = torch.randn(2, len(deep), self.ca.fc.out_features // 4, device=deep.device)
        condition = self.ca(sentence, eps[0])[0]
        latent, mu, logvar = self.ca(code, eps[1])
        image = self.image(self.decoder(torch.cat([condition, latent], 1)))
        return (F.leaky_relu(image, 0.2) if self.released else image.tanh()).float(), mu, logvar


class Discriminator(nn.Module):
    """The network of one scale. config: the section of our config; side: of reconstructions."""

    def __init__(self, config: Mapping[str, Any], size: int, side: int, sentence: int):
        super().__init__()
        width = config["channels"]
        self.trunk = Trunk(size, width)
        last = self.trunk.last
        self.real, self.cond_logit = Logit(last), Logit(last)
        self.join = spectral(last + sentence, last)
        self.dnm = Normalization(
            self.trunk.deep, sentence, config["condition_dim"], 16 * width, side, config["dnm_form"]
        )

    def fits(self, x: Tensor, sentence: Tensor) -> Tensor:
        """Logits [B] of maps that the trunk made."""
        return self.cond_logit(self.join(torch.cat([x, tiled(sentence, x).to(x.dtype)], 1)))
