"""StackGAN-v2 (Zhang et al., TPAMI 2019) as the authors' trainer runs it under PyTorch.

One step: G draws the images of all scales once. Each D looks at real, wrong and detached fake
images in three passes, each with its own batch statistics, and is updated by an Adam of its own.
Then all updated Ds look at the same fakes, attached, and G is updated through them. The condition
is detached in D's updates and differentiated in G's. Trees other than the published one
(`heads`, `last_copies`, `same_size`) and DR-GAN's modules are not here.
"""

import torch
from torch import Tensor, nn

from stand_ins.base import GanStep, bce, gaussian_kl
from stand_ins.blocks import (
    ConditioningAugmentation,
    FirstStage,
    Glu,
    Join,
    Logit,
    Residual,
    conv3,
    down_trunk,
    image_head,
    normed,
    tiled,
    up_block,
)


class NextStage(nn.Module):
    """A map [B, W, H, H] and a condition [B, N] -> [B, W / 2, 2H, 2H]."""

    def __init__(self, width: int, condition: int, blocks: int):
        super().__init__()
        self.join = normed(conv3(condition + width, 2 * width), Glu())
        self.residual = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.up = up_block(width, width // 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        joined = torch.cat([tiled(condition.to(x.dtype), x), x], dim=1)
        return self.up(self.residual(self.join(joined)))


class Generator(nn.Module):
    """Noise and a sentence to one image a scale; without a sentence to unconditional ones.

    config: the section of our config. sentence: numbers of a sentence vector.
    """

    def __init__(self, config, sentence: int):
        super().__init__()
        width, condition, noise = (
            config[name] for name in ("channels", "condition_dim", "noise_dim")
        )
        self.conditional = condition > 0
        if self.conditional:
            self.ca = ConditioningAugmentation(sentence, condition, Glu(), config["augment"])
        stages = [FirstStage(condition + noise, width, config["base_size"])]
        heads = [image_head(width)]
        for stage in range(2, config["scales"] + 1):
            blocks = config["residual_blocks"] if stage <= 3 else 1
            stages.append(NextStage(width, condition or noise, blocks))
            width //= 2
            heads.append(image_head(width))
        self.stages, self.heads = nn.ModuleList(stages), nn.ModuleList(heads)

    def forward(self, z: Tensor, sentence: Tensor | None = None, eps: Tensor | None = None):
        """(images, condition, mu, logvar); mu and logvar are None without a sentence."""
        condition, mu, logvar, start = z, None, None, z
        if self.conditional:
            condition, mu, logvar = self.ca(sentence, eps)
            start = torch.cat([condition, z], dim=1)
        x, images = start, []
        for i, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True)):
            x = stage(x, condition) if i else stage(x)
            images.append(head(x).float())
        return images, condition, mu, logvar


class Discriminator(nn.Module):
    """The network of one scale, with a head for each question.

    condition: numbers of the condition; 0: only the unconditional head.
    """

    def __init__(self, size: int, width: int, condition: int):
        super().__init__()
        self.trunk, width = down_trunk(size, width)
        if condition:
            self.cond_logit = Logit(width)
            self.join = Join(width, condition, condition_first=True)
        self.uncond_logit = Logit(width)

    def forward(self, images: Tensor, condition: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Logits [B]: (fits the condition, is real)."""
        x = self.trunk(images)
        fits = None if condition is None else self.cond_logit(self.join(x, condition))
        return fits, self.uncond_logit(x)


class Step(GanStep):
    """One train step; see the module."""

    def build(self):
        g, d = self.config["generator"], self.config["discriminator"]
        other = [name for name in ("heads", "same_size", "sdm") if g[name]]
        if other or g["last_copies"] != 1 or d["dnm"]:
            raise ValueError(f"the stand-in has the published tree only: leave {other} out")
        sizes = [g["base_size"] * 2**i for i in range(g["scales"])]
        self.real = [self.images(size) for size in sizes]
        self.wrong = [self.images(size) for size in sizes]
        conditional = g["condition_dim"] > 0
        self.sentence = self.normal(self.sentence_size()) if conditional else None
        ds = [Discriminator(size, d["channels"], g["condition_dim"]) for size in sizes]
        return Generator(g, self.sentence_size()), ds

    def update(self):
        g = self.config["generator"]
        z = self.normal(g["noise_dim"])
        eps = self.normal(g["condition_dim"]) if self.sentence is not None else None
        with self.autocast():
            fakes, condition, mu, logvar = self.g(z, self.sentence, eps)
        if mu is None:
            condition = None
        elif self.config["recipe"]["condition"] == "mean":
            condition = mu
        losses: dict[str, Tensor] = {}
        for i, d in enumerate(self.ds):
            add(losses, self.update_d(i, d, fakes[i], condition))
        terms: dict[str, Tensor] = {}
        for d, fake in zip(self.ds, fakes, strict=True):
            with self.autocast():
                judged = d(fake, condition)
            add(terms, self.adversarial("g", "fake", judged, (1.0, 1.0)))
        if self.on("g/kl"):
            terms["g/kl"] = gaussian_kl(mu, logvar)
        if self.on("g/color"):
            terms["g/color"] = color_consistency(fakes)
        self.descend(self.g, "g", terms)
        return losses | terms

    def update_d(self, i: int, d: nn.Module, fake: Tensor, condition: Tensor | None):
        """One update of the D of scale `i`: its terms."""
        condition = None if condition is None else condition.detach()
        kinds = {
            "real": (self.real[i], (1.0, 1.0)),
            "wrong": (self.wrong[i], (0.0, 1.0)),
            "fake": (fake.detach(), (0.0, 0.0)),
        }
        losses: dict[str, Tensor] = {}
        for kind, (images, labels) in kinds.items():
            if self.on(f"d/{kind}") or self.on(f"d/uncond_{kind}"):
                with self.autocast():
                    judged = d(images, condition)
                losses |= self.adversarial("d", kind, judged, labels)
        self.descend(d, "d", losses)
        return losses

    def adversarial(self, player: str, kind: str, judged, labels) -> dict[str, Tensor]:
        """The weighted terms of a kind, of (fits, real) logits and labels."""
        names = f"{player}/{kind}", f"{player}/uncond_{kind}"
        return {
            name: bce(logits, label)
            for name, logits, label in zip(names, judged, labels, strict=True)
            if self.on(name)
        }


def add(total: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    """Adds the terms of one scale to those of the others."""
    for name, value in terms.items():
        total[name] = total[name] + value if name in total else value


def color_consistency(images: list[Tensor]) -> Tensor:
    """How far the mean and the covariance of colours differ between neighbouring scales."""

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.flatten(2)
        mean = x.mean(2, keepdim=True)
        return mean, (x - mean) @ (x - mean).mT / x.shape[2]

    found = [moments(x) for x in images]
    return sum(
        (m2 - m1).square().sum((1, 2)).mean() + 5.0 * (s2 - s1).square().sum((1, 2)).mean()
        for (m1, s1), (m2, s2) in zip(found, found[1:], strict=False)
    )
