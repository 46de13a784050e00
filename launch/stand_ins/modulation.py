"""XMC-GAN's modulated batch norms under torch, with and without attention to the words.

A norm that attends modulates every position by the words that this attends to: contexts and
condition are one map, 1x1 convolutions of which give the norm's scale and shift. The release, whose
norms share one attention at 16x16, convolves the upsampled map at every resolution. `lean` takes
the words through these layers before they are mixed, as our own code does: the same numbers for
less.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins.blocks import tiled


class Caption:
    """What modulates: condition [B, G]; words [B, T, E]; padding [B, T], True where no word is.
    weights: the attention that norms share.
    """

    def __init__(self, condition: Tensor, words: Tensor, padding: Tensor):
        self.condition, self.words, self.padding = condition, words, padding
        self.weights: Tensor | None = None
        self._grids: dict[int, Tensor] = {}

    def attend(self, queries: Tensor, keys: Tensor, rho: float) -> Tensor:
        """Weights [B, T, H, W] of the words at the positions of a map [B, C, H, W], by cosines with
        keys [B, T, C].
        """
        unit = F.normalize(queries.flatten(2), dim=1)
        scores = rho * (F.normalize(keys, dim=2) @ unit).float()
        weights = scores.masked_fill(self.padding[..., None], -1e9).softmax(1)
        return weights.to(self.words.dtype).unflatten(2, queries.shape[2:])

    def mixed(self, weights: Tensor) -> Tensor:
        """Every position's mean of the words, and the condition: [B, E + G, H, W]."""
        return torch.cat([mix(self.words, weights), tiled(self.condition, weights)], 1)

    def grid(self, side: int) -> Tensor:
        """`mixed` of the shared attention, upsampled to that side; kept."""
        if side not in self._grids:
            shared = side == self.weights.shape[-1]
            smaller = None if shared else F.interpolate(self.grid(side // 2), scale_factor=2)
            self._grids[side] = self.mixed(self.weights) if shared else smaller
        return self._grids[side]

    def of_words(self) -> Tensor:
        """Every word, and the condition: [B, T, E + G]."""
        condition = self.condition[:, None].expand(-1, self.words.shape[1], -1)
        return torch.cat([self.words, condition], 2)


def mix(words: Tensor, weights: Tensor) -> Tensor:
    """[B, T, C], [B, T, H, W] -> [B, C, H, W]."""
    return (words.mT @ weights.flatten(2)).unflatten(2, weights.shape[2:])


class Norm(nn.Module):
    """Batch norm, then ``gamma * x + beta``. attention: "none" modulates by the condition alone.

    sizes: of a condition and of a word. lean: see the module.
    """

    def __init__(self, width: int, sizes, attention: str, options: Mapping[str, Any], lean: bool):
        super().__init__()
        condition, word = sizes
        self.attention, self.rho, self.lean = attention, options["rho"], lean
        self.one = 1.0 if options["gain"] == "one_plus_gamma" else 0.0
        self.norm = nn.BatchNorm2d(width, affine=False)
        inputs = condition + word * (attention != "none")
        self.gamma, self.beta = nn.Conv2d(inputs, width, 1), nn.Conv2d(inputs, width, 1)
        self.words = nn.Linear(word, width, bias=False) if attention == "layer" else None

    def forward(self, x: Tensor, caption: Caption) -> Tensor:
        gamma, beta = self.maps(x, caption)
        return (self.one + gamma) * self.norm(x) + beta

    def maps(self, x: Tensor, caption: Caption) -> Sequence[Tensor]:
        """gamma and beta."""
        layers = self.gamma, self.beta
        if self.attention == "none":
            return [layer(caption.condition[..., None, None]) for layer in layers]
        if self.attention == "shared":
            weights = caption.weights
        else:
            weights = caption.attend(x, self.words(caption.words), self.rho)
        if not self.lean:
            shared = self.attention == "shared"
            given = caption.grid(x.shape[-1]) if shared else caption.mixed(weights)
            return [layer(given) for layer in layers]
        given, scale = caption.of_words(), x.shape[-1] // weights.shape[-1]
        found = (mix(F.linear(given, y.weight[..., 0, 0], y.bias), weights) for y in layers)
        return [F.interpolate(y, scale_factor=scale) if scale > 1 else y for y in found]
