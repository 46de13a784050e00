"""GAN-INT-CLS (Reed et al., ICML 2016): our config's networks in the passes of a PyTorch port.

The authors wrote Torch7; a port of their layers is github.com/raphaelsenn/gan-text-to-image. One
step of both: G draws fakes for D without a gradient. D passes over real, wrong and fake pairs, each
with its own batch statistics, and is updated. G draws anew and is updated through the new D.

form "paper" is the port's: sentences between two of the batch are a pass of G and D of their own.
"released" is the authors': they share the pass, the statistics and the mean of the batch's own.
``lean`` lets G draw once for both players in the form "paper", as our step does. Where the wrong
pair is a real image with another caption, the trunk's pass over it serves both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins.base import GanStep, bce
from stand_ins.blocks import Logit, down4, leaky, tiled


def width_at(channels: int, side: int) -> int:
    """Channels of a map of that side: 8, 4, 2 and 1 times `channels` at 4, 8, 16 and 32."""
    return channels * max(1, 32 // side)


class Bottleneck(nn.Module):
    """act(x + h(x)), h at a quarter of the width; `last=False` leaves the activation out."""

    def __init__(self, width: int, activation: nn.Module, last: bool = True):
        super().__init__()
        layers, inner = [], width // 4
        for inputs, outputs, side in ((width, inner, 1), (inner, inner, 3), (inner, width, 3)):
            conv = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(outputs), activation]
        self.block = nn.Sequential(*layers[:-1])
        self.activation = activation if last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.block(x))


class Generator(nn.Module):
    """Noise and a sentence to an image. config: the section of our config."""

    def __init__(self, config, sentence: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(sentence, config["text_dim"]), leaky())
        channels, side = config["channels"], 4
        inputs, options = config["noise_dim"] + config["text_dim"], {"bias": False}
        layers = [nn.ConvTranspose2d(inputs, width_at(channels, 4), 4, **options)]
        while True:
            width = width_at(channels, side)
            layers.append(nn.BatchNorm2d(width))
            if side <= 8:
                for last in (False, True) if config["large"] else (True,):
                    layers.append(Bottleneck(width, nn.ReLU(), last))
            else:
                layers.append(nn.ReLU(inplace=True))
            side *= 2
            done = side == config["image_size"]
            outputs = 3 if done else width_at(channels, side)
            layers.append(nn.ConvTranspose2d(width, outputs, 4, 2, 1, **options))
            if done:
                break
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor, sentence: Tensor) -> Tensor:
        start = torch.cat([z, self.fc(sentence)], dim=1)
        return self.layers(start[:, :, None, None]).float()


class Discriminator(nn.Module):
    """A trunk, and the half that compares its maps with sentences. config: of our config."""

    def __init__(self, config, sentence: int):
        super().__init__()
        side, channels = config["image_size"] // 2, config["channels"]
        int_script = config["variant"] == "int"
        width = width_at(channels, side)
        layers: list[nn.Module] = [down4(3, width), leaky()]
        while side > 4:
            side //= 2
            inputs, width = width, width_at(channels, side)
            layers += [down4(inputs, width), nn.BatchNorm2d(width)]
            if side > 8 or (side == 8 and not int_script):
                layers.append(leaky())
        layers.append(Bottleneck(width, nn.LeakyReLU(0.2)) if config["residual"] else leaky())
        self.trunk = nn.Sequential(*layers)
        text = config["text_dim"]
        norm = [nn.BatchNorm1d(text)] if int_script else []
        self.text = nn.Sequential(nn.Linear(sentence, text), *norm, leaky())
        joint = nn.Conv2d(width + text, width, 1, bias=False)
        self.join = nn.Sequential(joint, nn.BatchNorm2d(width), leaky(), Logit(width, bias=False))

    def fits(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Logits [B] of maps that the trunk made."""
        text = tiled(self.text(sentence), features)
        return self.join(torch.cat([features, text], dim=1))

    def forward(self, images: Tensor, sentence: Tensor) -> Tensor:
        return self.fits(self.trunk(images), sentence)


class Step(GanStep):
    """One train step; see the module."""

    def build(self):
        g, d = self.config["generator"], self.config["discriminator"]
        size = self.sentence_size()
        self.sentence, self.wrong_sentence = self.normal(size), self.normal(size)
        self.real, self.wrong = self.images(g["image_size"]), self.images(g["image_size"])
        return Generator(g, size), [Discriminator(d, size)]

    def update(self):
        (d,) = self.ds
        released = self.config["recipe"]["form"] == "released"
        once = self.lean and not released
        with self.autocast():
            with torch.set_grad_enabled(once):
                fake = self.g(self.noise(self.rows), self.sentence)
            losses = self.d_terms(d, fake.detach())
        self.descend(d, "d", losses)
        with self.autocast():
            terms = (
                self.released_terms(d) if released else self.paper_terms(d, fake if once else None)
            )
        self.descend(self.g, "g", terms)
        return losses | terms

    def d_terms(self, d: Discriminator, fake: Tensor) -> dict[str, Tensor]:
        """Of real, wrong and fake pairs, each with its own batch statistics."""
        maps = d.trunk(self.real)
        losses = {"d/real": bce(d.fits(maps, self.sentence), 1.0)}
        if self.on("d/wrong"):
            if self.config["recipe"]["mismatch"] == "image":
                judged = d(self.wrong, self.sentence)
            else:
                judged = d.fits(maps, self.wrong_sentence)
            losses["d/wrong"] = bce(judged, 0.0)
        losses["d/fake"] = bce(d(fake, self.sentence), 0.0)
        return losses

    def paper_terms(self, d: Discriminator, fake: Tensor | None) -> dict[str, Tensor]:
        """G's, of `fake` or of fresh fakes, and of interpolated sentences."""
        if fake is None:
            fake = self.g(self.noise(self.rows), self.sentence)
        terms = {"g/fake": bce(d(fake, self.sentence), 1.0)}
        if self.on("g/interp"):
            between = self.between()
            drawn = self.g(self.noise(len(between)), between)
            terms["g/interp"] = bce(d(drawn, between), 1.0)
        return terms

    def released_terms(self, d: Discriminator) -> dict[str, Tensor]:
        """G's, of fresh fakes and of interpolated sentences in one pass and one mean."""
        sentences = self.sentence
        if self.on("g/interp"):
            sentences = torch.cat([sentences, self.between()])
        logits = d(self.g(self.noise(len(sentences)), sentences), sentences).float()
        values = F.softplus(-logits) / len(logits)
        terms = {"g/fake": values[: self.rows].sum()}
        if self.on("g/interp"):
            terms["g/interp"] = values[self.rows :].sum()
        return terms

    def between(self) -> Tensor:
        """Sentences halfway between two of the batch, or anywhere on their line."""
        first, second = self.sentence.chunk(2)
        middle = 0.5 * (first + second)
        if self.config["recipe"]["interp"] == "midpoint":
            return middle
        alpha = torch.rand(len(first), 1, device=self.device) * 2.0 - 1.0
        return middle + alpha * (second - first)

    def noise(self, rows: int) -> Tensor:
        """[rows, noise_dim]."""
        return torch.randn(rows, self.config["generator"]["noise_dim"], device=self.device)
