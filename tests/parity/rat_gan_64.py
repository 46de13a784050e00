"""RAT-GAN at 64 px, with the images whole."""

from parity._rat_gan import CASES

__all__ = ["CASES"]
