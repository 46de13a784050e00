"""RAT-GAN under torch; the passes are told in `stand_ins.one_stage`.

The recurrent cell is stepped before every affine layer. What the sentence adds to its gates is the
same at every step and computed once, which the authors' code does at every step: a thousandth of
the step. D attends (paper, release until June 2023) or has the plain head (release since). Layers
that the authors' code makes and never uses are left out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins.blocks import tiled
from stand_ins.one_stage import Decoder, DownBlock, OneStageStep, Trunk, Verdict, widths

WIDEST = 16


class Cell(nn.Module):
    """An LSTM that starts from the noise and reads the sentence at every step."""

    def __init__(self, noise: int, sentence: int, width: int):
        super().__init__()
        self.noise2h, self.noise2c = nn.Linear(noise, width), nn.Linear(noise, width)
        shapes = {"W": (sentence, 4 * width), "U": (width, 4 * width), "bias": (4 * width,)}
        for name, shape in shapes.items():
            values = torch.empty(shape).uniform_(-(width**-0.5), width**-0.5)
            setattr(self, name, nn.Parameter(values))

    def forward(self, z: Tensor, sentence: Tensor, steps: int) -> list[Tensor]:
        """The hidden states after each step, [B, width] each."""
        h, c, states = self.noise2h(z), self.noise2c(z).float(), []
        given = sentence @ self.W + self.bias
        for _ in range(steps):
            i, f, u, o = (given + h @ self.U).float().chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * u.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return states


class Generator(Decoder):
    """Noise [B, Z] and sentence [B, E] -> images."""

    def __init__(self, options, sentence: int):
        width = options["state_dim"]
        recurrent = options["recurrent"]
        super().__init__(options, width if recurrent else sentence, width)
        self.lstm = Cell(options["noise_dim"], sentence, width) if recurrent else None

    def forward(self, z: Tensor, sentence: Tensor) -> Tensor:
        if self.lstm is None:
            return self.decode(z, [sentence] * self.steps)
        return self.decode(z, self.lstm(z, sentence, self.steps))


class AttentiveVerdict(Verdict):
    """A map [B, C, 8, 8] and a sentence [B, E] -> logits [B], by where the sentence is looked for.

    form: "soft_threshold" or "softmax", as the config has them.
    """

    def __init__(self, inputs: int, sentence: int, outputs: int, hidden: int, form: str):
        super().__init__(outputs + sentence, hidden)
        self.form = form
        self.joint_conv_att = nn.Sequential(
            nn.Conv2d(inputs + sentence, hidden, 3, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(hidden, 1, 1, bias=False),
        )
        self.block = DownBlock(inputs + sentence, outputs)

    def forward(self, x: Tensor, sentence: Tensor) -> Tensor:
        scores = self.joint_conv_att(torch.cat([x, tiled(sentence, x)], 1)).float()
        sigmoids = scores.sigmoid()
        if self.form == "softmax":
            weights = F.softmax(sigmoids.flatten(1), 1).view_as(scores)
        else:
            weights = sigmoids / sigmoids.sum((2, 3), keepdim=True)
        looked_for = weights * sentence[..., None, None]
        return super().forward(self.block(torch.cat([x, looked_for.to(x.dtype)], 1)), sentence)


class Discriminator(nn.Module):
    """The trunk and the head that sees the sentence."""

    def __init__(self, options, sentence: int):
        super().__init__()
        channels, size, form = (options[k] for k in ("channels", "image_size", "attention"))
        attentive = form != "none"
        self.netD = Trunk(channels, size, WIDEST, 8 if attentive else 4)
        inputs, hidden = self.netD.outputs, 2 * channels
        if attentive:
            outputs = channels * widths(size, WIDEST)[-1]
            self.netC = AttentiveVerdict(inputs, sentence, outputs, hidden, form)
        else:
            self.netC = Verdict(inputs + sentence, hidden)


class Step(OneStageStep):
    """One train step of RAT-GAN."""

    def networks(self, sentence: int) -> tuple[nn.Module, nn.Module]:
        """G and D of the config."""
        g, d = self.config["generator"], self.config["discriminator"]
        return Generator(g, sentence), Discriminator(d, sentence)
