"""DF-GAN under torch, in both published versions; the passes are told in `stand_ins.one_stage`.

Noise and sentence steer the affine layers together in 2022, the sentence alone in 2020. D's trunk
has at most 8 times the channel base in 2022, 16 times in 2020. Layers that the authors' code makes
and never uses are left out.
"""

import torch
from torch import Tensor, nn

from stand_ins.one_stage import Decoder, OneStageStep, Trunk, Verdict


class Generator(Decoder):
    """Noise [B, Z] and sentence [B, E] -> images."""

    def __init__(self, options, sentence: int):
        self.joint = options["version"] == "2022"
        condition = sentence + options["noise_dim"] * self.joint
        later = {"first_block": not self.joint, "gated": not self.joint}
        super().__init__(options, condition, options["affine_dim"], **later)

    def forward(self, z: Tensor, sentence: Tensor) -> Tensor:
        condition = torch.cat([z, sentence], 1) if self.joint else sentence
        return self.decode(z, [condition] * self.steps)


class Discriminator(nn.Module):
    """The trunk and the head that sees the sentence."""

    def __init__(self, options, sentence: int):
        super().__init__()
        channels, widest = options["channels"], 8 if options["version"] == "2022" else 16
        self.netD = Trunk(channels, options["image_size"], widest)
        self.netC = Verdict(self.netD.outputs + sentence, 2 * channels)


class Step(OneStageStep):
    """One train step of DF-GAN."""

    def networks(self, sentence: int) -> tuple[nn.Module, nn.Module]:
        """G and D of the config."""
        g, d = self.config["generator"], self.config["discriminator"]
        return Generator(g, sentence), Discriminator(d, sentence)
