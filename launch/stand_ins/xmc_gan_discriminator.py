"""XMC-GAN's discriminator under torch: a critic by projection, and the encoder whose features the
contrastive losses compare. Every layer has torch's own spectral normalisation, which makes one
power iteration in a pass.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

GRID = 16  # side of the map of region features
WIDTHS = {  # of the blocks by the image's side, in units of the channel base
    32: (1, 2, 4, 8),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}


class Seen(NamedTuple):
    """logits [2B]; pooled [2B, C]; sentence [B, C], of the captions; regions [2B, 256, E], or None
    where no words are read.
    """

    logits: Tensor
    pooled: Tensor
    sentence: Tensor
    regions: Tensor | None


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    """The side is kept."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


class DownBlock(nn.Module):
    """A residual block. first: of images, whose shortcut is pooled before its convolution."""

    def __init__(self, inputs: int, outputs: int, first: bool, down: bool):
        super().__init__()
        self.first, self.down = first, down
        self.conv1, self.conv2 = conv(inputs, outputs), conv(outputs, outputs)
        self.shortcut = conv(inputs, outputs, 1) if down or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(F.relu(h, inplace=True))
        if self.first:
            return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))
        x = x if self.shortcut is None else self.shortcut(x)
        return F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if self.down else h + x


class Discriminator(nn.Module):
    """Images of both kinds with their captions. options: the section of our config. sentence, word:
    sizes of vectors; word 0: no regions.
    """

    def __init__(self, options: Mapping[str, Any], sentence: int, word: int):
        super().__init__()
        widths = [options["channels"] * m for m in WIDTHS[options["image_size"]]]
        last = len(widths) - 1
        pairs = zip([3, *widths[:-1]], widths, strict=True)
        self.blocks = nn.ModuleList(
            DownBlock(i, o, first=n == 0, down=n < last) for n, (i, o) in enumerate(pairs)
        )
        self.grid_after = (options["image_size"] // GRID).bit_length() - 2  # number of its block
        self.regions = conv(widths[self.grid_after], word, 1) if word else None
        self.sentence = spectral_norm(nn.Linear(sentence, widths[-1]))
        self.answer = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor, sentence: Tensor) -> Seen:
        """images: [2B, 3, S, S] in [-1, 1], real ones first. sentence: [B, E]."""
        x = (images + 1.0) / 2.0
        for n, block in enumerate(self.blocks):
            x = block(x)
            if n == self.grid_after:
                grid = x
        pooled = F.relu(x).sum((2, 3))
        vectors = self.sentence(sentence)
        both = pooled.unflatten(0, (-1, len(vectors)))
        logits = self.answer(pooled).flatten() + (both * vectors).sum(2).flatten()
        regions = None if self.regions is None else self.regions(grid).flatten(2).mT
        return Seen(logits, pooled, vectors, regions)
