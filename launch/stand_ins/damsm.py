"""DAMSM's two encoders and its losses, frozen, as AttnGAN and its descendants use them in a step.

Xu et al., "AttnGAN" (CVPR 2018), section 3.2. The authors compare captions with images in a loop
over captions; here all are compared at once, which is what a fast PyTorch program does.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins.base import WORDS
from stand_ins.blocks import conv3, down4, leaky, normed
from stand_ins.inception import BLOCKS, InceptionV3


class TextEncoder(nn.Module):
    """Ids [B, T] -> (sentence [B, E], words [B, T, E]), a bidirectional LSTM's.

    fields: of our config's encoder. Captions fill their row, so nothing is packed.
    """

    def __init__(self, fields: Mapping[str, Any]):
        super().__init__()
        self.vocabulary = fields["vocab_size"] or WORDS
        self.table = nn.Embedding(self.vocabulary, fields["word_dim"])
        width = fields["embedding"] // 2
        self.rnn = nn.LSTM(fields["word_dim"], width, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        words, (last, _) = self.rnn(self.table(tokens))
        return torch.cat([last[0], last[1]], dim=1).float(), words.float()


class InceptionEncoder(nn.Module):
    """Images in [-1, 1] -> (regions [B, E, N], code [B, E]): the paper's image encoder.

    section: `damsm` of our config, whose missing fields are our defaults, the paper's.
    """

    def __init__(self, section: Mapping[str, Any], embedding: int):
        super().__init__()
        names = {f"mixed{i}": name for i, name in enumerate(BLOCKS)}
        local = section.get("local_layer", "Mixed_6e")
        whole = section.get("global_layer", "Mixed_7c")
        self.local, self.whole = names.get(local, local), names.get(whole, whole)
        self.size = section.get("image_size", 299)
        padding = section.get("pool_counts_padding", True)
        self.trunk = InceptionV3(max(self.local, self.whole), padding)
        widths = {name: block.width for name, block in self.trunk.blocks.items()}
        self.regions = nn.Conv2d(widths[self.local], embedding, 1, bias=False)
        self.code = nn.Linear(widths[self.whole], embedding)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=True)
        maps = self.trunk(images)
        code = self.code(maps[self.whole].mean((2, 3)))
        return self.regions(maps[self.local]).flatten(2).float(), code.float()


class CompactEncoder(nn.Module):
    """The small image encoder of our own configs for two CPU cores."""

    def __init__(self, section: Mapping[str, Any], size: int):
        super().__init__()
        widths, embedding = section.get("widths", (32, 64, 128, 256)), section["embedding"]
        local, self.pooled = section.get("local_stages", 3), section.get("pooled", True)
        stages, inputs = [], 3
        for width in widths:
            down, look = down4(inputs, width), conv3(width, width)
            stages.append(nn.Sequential(normed(down, leaky()), normed(look, leaky())))
            inputs = width
        self.near, self.far = nn.Sequential(*stages[:local]), nn.Sequential(*stages[local:])
        self.regions = nn.Conv2d(widths[local - 1], embedding, 1, bias=False)
        side = 1 if self.pooled else size // 2 ** len(widths)
        self.code = nn.Linear(inputs * side * side, embedding)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        near = self.near(images)
        far = self.far(near)
        whole = far.mean((2, 3)) if self.pooled else far.flatten(1)
        return self.regions(near).flatten(2).float(), self.code(whole).float()


def image_encoder(config: Mapping[str, Any], size: int) -> nn.Module:
    """The network that our config names for images of `size`: the paper's, unless its section
    `damsm` describes our small one.
    """
    section = config.get("damsm", {})
    if section.get("module", "").endswith(":CompactImageEncoder"):
        return CompactEncoder(section, size)
    return InceptionEncoder(section, config["encoder"]["fields"]["embedding"])


def word_loss(
    regions: Tensor, words: Tensor, padding: Tensor, labels: Tensor, recipe: Mapping[str, Any]
) -> Tensor:
    """Images [I, E, N] find their captions [J, T, E] word by word, and the other way round.

    padding: [J, T] True where there is no word. labels: [I] classes; recipe: of our config.
    """
    gamma1, gamma2 = recipe["gamma1"], recipe["gamma2"]
    products = torch.einsum("jte,ien->ijtn", words, regions)
    products = products.masked_fill(padding[None, :, :, None], -torch.inf)
    attention = torch.softmax(gamma1 * torch.softmax(products, dim=2), dim=3)
    contexts = torch.einsum("ijtn,ien->ijte", attention, regions)
    cosines = F.cosine_similarity(words[None], contexts, dim=3)
    scores = (gamma2 * cosines).masked_fill(padding, -torch.inf).logsumexp(dim=2)
    if recipe["damsm_form"] == "paper":
        scores = scores / gamma2
    return both_ways(recipe["gamma3"] * scores, labels)


def sentence_loss(
    code: Tensor, sentence: Tensor, labels: Tensor, recipe: Mapping[str, Any]
) -> Tensor:
    """The same of whole images [I, E] and sentences [J, E]."""
    scores = F.cosine_similarity(code[:, None], sentence[None], dim=2)
    return both_ways(recipe["gamma3"] * scores, labels)


def both_ways(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the rows plus that of the columns against the diagonal; another row of the
    same class is no wrong answer.
    """
    own = torch.arange(len(scores), device=scores.device)
    clash = (labels[:, None] == labels) & (own[:, None] != own)
    scores = scores.masked_fill(clash, -torch.inf)
    return F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)
