"""RAT-GAN at its published 256 px, few channels: both generators, both discriminators."""

from parity import _rat_gan

CASES = _rat_gan.CASES | {"attention": _rat_gan.attention}
