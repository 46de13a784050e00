"""StackGAN-v1, Stage I (Zhang et al., ICCV 2017), as the authors' trainer runs it under PyTorch.

One step: G draws once. D's trunk passes over the real and over the detached fake images; its head
judges real, wrong and fake pairs; one Adam step. Then the updated D looks at the same fakes,
attached, and G is updated through it. Where the wrong pairs are the batch's own, shifted by one row
(the release), or its images with other captions (the paper), the trunk's pass over the real images
serves both.
"""

import torch
from torch import Tensor, nn

from stand_ins.base import GanStep, bce, gaussian_kl
from stand_ins.blocks import (
    ConditioningAugmentation,
    Join,
    Logit,
    conv3,
    down_trunk,
    image_head,
    leaky,
    normed,
)


class Generator(nn.Module):
    """Noise and a sentence to an image. config: the section of our config."""

    def __init__(self, config, sentence: int):
        super().__init__()
        activation = nn.ReLU() if config["activation"] == "relu" else nn.LeakyReLU(0.2)
        condition = config["condition_dim"]
        self.ca = ConditioningAugmentation(sentence, condition, activation, config["augment"])
        self.width = width = 8 * config["channels"]
        linear = nn.Linear(config["noise_dim"] + condition, 16 * width, bias=False)
        self.fc = nn.Sequential(linear, nn.BatchNorm1d(16 * width), nn.ReLU(inplace=True))
        ups, side = [], 4
        while side < config["image_size"]:
            block = normed(conv3(width, width // 2), nn.ReLU(inplace=True))
            ups += [nn.Upsample(scale_factor=2), block]
            width, side = width // 2, 2 * side
        self.ups, self.image = nn.Sequential(*ups), image_head(width)

    def forward(self, z: Tensor, sentence: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(image, mu, logvar)."""
        condition, mu, logvar = self.ca(sentence, eps)
        x = self.fc(torch.cat([z, condition], dim=1)).view(-1, self.width, 4, 4)
        return self.image(self.ups(x)).float(), mu, logvar


class Discriminator(nn.Module):
    """A trunk and the head that sees a condition. config: the section of our config.

    given: numbers of the condition, a sentence or mu.
    """

    def __init__(self, config, given: int):
        super().__init__()
        self.trunk, width = down_trunk(config["image_size"], config["channels"])
        self.text = nn.Identity()
        if config["text_dim"]:
            self.text = nn.Sequential(nn.Linear(given, config["text_dim"]), leaky())
        self.join = Join(width, config["text_dim"] or given, config["join_kernel"])
        self.cond_logit = Logit(width)

    def fits(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits [B] of maps that the trunk made."""
        return self.cond_logit(self.join(features, self.text(condition)))


class Step(GanStep):
    """One train step; see the module."""

    def build(self):
        g, d = self.config["generator"], self.config["discriminator"]
        if d["unconditional"]:
            raise ValueError("discriminator.unconditional is of Stage II, which has no stand-in")
        size, sentence = self.sentence_size(), d["text_dim"] > 0
        self.sentence, self.wrong_sentence = self.normal(size), self.normal(size)
        self.real, self.wrong = self.images(g["image_size"]), self.images(g["image_size"])
        given = size if sentence else g["condition_dim"]
        return Generator(g, size), [Discriminator(d, given)]

    def update(self):
        g = self.config["generator"]
        (d,) = self.ds
        with self.autocast():
            z, eps = self.normal(g["noise_dim"]), self.normal(g["condition_dim"])
            fake, mu, logvar = self.g(z, self.sentence, eps)
            reads_sentence = self.config["discriminator"]["text_dim"] > 0
            condition = self.sentence if reads_sentence else mu.detach()
            real_maps, fake_maps = d.trunk(self.real), d.trunk(fake.detach())
            losses = {"d/real": bce(d.fits(real_maps, condition), 1.0)}
            if self.on("d/wrong"):
                pair = self.wrong_pair(d, real_maps, condition)
                losses["d/wrong"] = bce(d.fits(*pair), 0.0)
            losses["d/fake"] = bce(d.fits(fake_maps, condition), 0.0)
        self.descend(d, "d", losses)
        with self.autocast():
            terms = {"g/fake": bce(d.fits(d.trunk(fake), condition), 1.0)}
        if self.on("g/kl"):
            terms["g/kl"] = gaussian_kl(mu, logvar)
        self.descend(self.g, "g", terms)
        return losses | terms

    def wrong_pair(self, d: Discriminator, real_maps: Tensor, condition: Tensor):
        """Maps and conditions that do not belong together."""
        mismatch = self.config["recipe"]["mismatch"]
        if mismatch == "shift":
            return real_maps[:-1], condition[1:]
        if mismatch == "image":
            return d.trunk(self.wrong), condition
        return real_maps, self.wrong_sentence
