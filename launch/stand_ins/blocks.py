"""Layers that StackGAN's and AttnGAN's descendants share, NCHW, in their authors' order."""

import torch
from torch import Tensor, nn


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3, the side kept, no bias."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def down4(inputs: int, outputs: int) -> nn.Conv2d:
    """4x4, the side halved, no bias."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def tiled(vector: Tensor, like: Tensor) -> Tensor:
    """[B, N] at every position of a map [B, C, H, W]."""
    return vector[:, :, None, None].expand(-1, -1, *like.shape[2:])


class Glu(nn.GLU):
    """The first half of the channels times the sigmoid of the second."""

    def __init__(self):
        super().__init__(dim=1)


def normed(conv: nn.Module, activation: nn.Module | None = None) -> nn.Sequential:
    """A convolution, its batch norm, and an activation."""
    width = conv.out_channels
    return nn.Sequential(conv, nn.BatchNorm2d(width), *([activation] if activation else []))


def leaky() -> nn.LeakyReLU:
    """Slope 0.2, as in all of these systems."""
    return nn.LeakyReLU(0.2, inplace=True)


def up_block(inputs: int, outputs: int) -> nn.Sequential:
    """The side doubled by repetition, then a gated convolution."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *normed(conv3(inputs, 2 * outputs), Glu()))


class Residual(nn.Module):
    """x + two convolutions, gated after the first."""

    def __init__(self, width: int):
        super().__init__()
        first = normed(conv3(width, 2 * width), Glu())
        self.block = nn.Sequential(*first, *normed(conv3(width, width)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class ConditioningAugmentation(nn.Module):
    """[B, E] and noise [B, C] -> (condition, mu, logvar), [B, C] each.

    activation: of the linear layer; `Glu` halves its width.
    """

    def __init__(self, sentence: int, width: int, activation: nn.Module, augment: bool = True):
        super().__init__()
        gated = isinstance(activation, Glu)
        self.fc = nn.Linear(sentence, (4 if gated else 2) * width)
        self.activation, self.augment = activation, augment

    def forward(self, sentence: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.activation(self.fc(sentence)).float().chunk(2, dim=1)
        return (mu + torch.exp(0.5 * logvar) * eps if self.augment else mu), mu, logvar


class FirstStage(nn.Module):
    """[B, N] -> [B, width, side, side]: a gated linear layer to 4x4, then up-blocks that halve the
    width.
    """

    def __init__(self, inputs: int, width: int, side: int):
        super().__init__()
        ups = (side // 4).bit_length() - 1
        self.width = width * 2**ups
        self.fc = nn.Sequential(
            nn.Linear(inputs, 32 * self.width, bias=False), nn.BatchNorm1d(32 * self.width), Glu()
        )
        widths = [self.width // 2**i for i in range(ups)]
        self.ups = nn.Sequential(*(up_block(width, width // 2) for width in widths))

    def forward(self, x: Tensor) -> Tensor:
        return self.ups(self.fc(x).view(-1, self.width, 4, 4))


def image_head(width: int) -> nn.Sequential:
    """A map to an image in [-1, 1]."""
    return nn.Sequential(conv3(width, 3), nn.Tanh())


def down_trunk(size: int, width: int) -> tuple[nn.Sequential, int]:
    """(images [B, 3, size, size] -> maps [B, C, 4, 4], C): strided convolutions that double the
    width, then ones that halve it again, down to 8 times the first.
    """
    layers, now, side = [down4(3, width), leaky()], width, size // 2
    while side > 4:
        layers += normed(down4(now, 2 * now), leaky())
        now, side = 2 * now, side // 2
    while now > 8 * width:
        layers += normed(conv3(now, now // 2), leaky())
        now //= 2
    return nn.Sequential(*layers), now


class Logit(nn.Conv2d):
    """[B, C, 4, 4] -> [B]."""

    def __init__(self, width: int, bias: bool = True):
        super().__init__(width, 1, 4, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten()


class Join(nn.Module):
    """A map [B, C, 4, 4] and a condition [B, N] -> [B, C, 4, 4].

    kernel: side of the convolution. condition_first: the order of the channels.
    """

    def __init__(self, width: int, condition: int, kernel: int = 3, condition_first: bool = False):
        super().__init__()
        conv = nn.Conv2d(width + condition, width, kernel, padding=kernel // 2, bias=False)
        self.join, self.condition_first = normed(conv, leaky()), condition_first

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        parts = [x, tiled(condition.to(x.dtype), x)]
        return self.join(torch.cat(parts[::-1] if self.condition_first else parts, dim=1))
