"""The objective of RAT-GAN (Ye et al., arXiv 2204.10482), in `recipes.one_stage`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from t2i_jax.models.rat_gan import Discriminator, Generator
from t2i_jax.recipes.one_stage import OneStageRecipe
from t2i_jax.recipes.terms import Seen, Variables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(OneStageRecipe):
    """Equations of RAT-GAN; a discriminator that attends is kept for sampling."""

    generator: Generator
    discriminator: Discriminator
    mismatch: str = "shift"
    penalty_update: str = "own"

    @property
    def kept(self) -> tuple[str, ...]:
        """D, where it attends."""
        return ("d",) if self.discriminator.attention != "none" else ()

    def examine(
        self, networks: Mapping[str, Variables], seen: Seen, out: Mapping[str, Any]
    ) -> dict[str, jax.Array]:
        """With ``attention`` [N, 8, 8]: where in the images D looks for the caption."""
        found = super().examine(networks, seen, out)
        if not self.kept or "d" not in networks:
            return found
        d = self.critic(networks["d"], train=False)
        judged = self.discriminate(d, out["images"], self.condition_of(seen, out))
        return found | {"attention": judged.extra}
