"""The contrastive losses of XMC-GAN under torch: every image finds its own caption or image."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(logits: Tensor, recipe: Mapping[str, Any]) -> Tensor:
    """Cross-entropy of the rows of [B, B] against the diagonal, and with ``directions="both"`` that
    of the columns; within groups of ``group`` rows, 0 being all.
    """
    own = torch.arange(len(logits), device=logits.device)
    if group := recipe["group"]:
        if len(logits) % group:
            raise ValueError(f"group={group}: {len(logits)} rows cannot be divided into groups")
        others = own[:, None] // group != own // group
        logits = logits.masked_fill(others, -torch.inf)
    loss = F.cross_entropy(logits, own)
    return loss + F.cross_entropy(logits.T, own) if recipe["directions"] == "both" else loss


def cosine_scores(a: Tensor, b: Tensor) -> Tensor:
    """[I, E], [J, E] -> [I, J]."""
    return F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T


def word_scores(regions: Tensor, words: Tensor, padding: Tensor, rho1: float, rho2: float):
    """How well captions' words [J, T, E] are found in images' regions [I, N, E]: [I, J]."""
    regions, words = F.normalize(regions.float(), dim=2), F.normalize(words.float(), dim=2)
    attention = torch.softmax(rho1 * torch.einsum("jte,ine->ijtn", words, regions), dim=3)
    contexts = torch.einsum("ijtn,ine->ijte", attention, regions)
    cosines = F.cosine_similarity(words[None], contexts, dim=3)
    return torch.logsumexp((rho2 * cosines).masked_fill(padding, -torch.inf), dim=2) / rho2
