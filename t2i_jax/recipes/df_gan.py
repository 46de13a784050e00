"""The objective of DF-GAN (Tao et al., CVPR 2022, arXiv 2008.05865), in `recipes.one_stage`.

By default the pairs and updates of the release of 2022; that of 2020 has RAT-GAN's.
"""

import dataclasses

from t2i_jax.models.df_gan import Discriminator, Generator
from t2i_jax.recipes.one_stage import OneStageRecipe
from t2i_jax.recipes.terms import Seen


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(OneStageRecipe):
    """Equations of DF-GAN."""

    generator: Generator
    discriminator: Discriminator
    mismatch: str = "roll"

    def check(self, seen: Seen) -> None:
        """Also for networks of different versions."""
        super().check(seen)
        g, d = self.generator.version, self.discriminator.version
        if g != d:
            raise ValueError(
                f"generator.version={g!r}, but discriminator.version={d!r}: set both alike; "
                "--config=df_gan:cub_released_2020 is all of the release of 2020"
            )
