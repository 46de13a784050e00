"""The objective of StackGAN-v1, Stage II: the terms of Stage I on the large image.

Zhang et al., "StackGAN" (arXiv 1612.03242), section 3.4, equations 5-6. Stage I is the trained
generator of another run (``config.frozen.stage1``) and stays as it is. Its variables travel inside
those of G, in a collection "stage1" beside "params", so that a checkpoint of Stage II can be
sampled alone.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.choices import check_choice
from t2i_jax.models import stack_gan_v1 as models
from t2i_jax.models.stack_gan_v1 import Discriminator, Stage2Generator
from t2i_jax.recipes import stack_gan_v1
from t2i_jax.recipes.terms import Net, Seen, Variables, no_noise, with_state

_STAGE1 = "stage1"
_STATISTICS = ("fixed", "moving")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(stack_gan_v1.Recipe):
    """Equations of Stage II.

    generator: with ``text=False`` (an ablation) there is no term kl, and D needs ``text_dim`` > 0.
    stage1: the generator of Stage I.
    statistics: of Stage I's batch norms while Stage II trains. "fixed": those of its own training
        (paper: Stage I is fixed). "moving": those of each batch, and the running averages go on
        moving (PyTorch release, where only the weights are frozen).
    """

    frozen_parts = {"stage1": "generator", **stack_gan_v1.Recipe.frozen_parts}
    trained_by = {"stage1": "stack_gan_v1", **stack_gan_v1.Recipe.trained_by}
    starting_points = ("stage1",)

    generator: Stage2Generator
    discriminator: Discriminator
    stage1: models.Generator
    statistics: str = "fixed"

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.stage1, models.Generator):
            raise ValueError(
                "stage1 must be the generator of a run of stack_gan_v1, got "
                f"{type(self.stage1).__module__}.{type(self.stage1).__name__}"
            )
        check_choice("statistics", self.statistics, _STATISTICS)
        if not self.generator.text and self.on("g.kl"):
            raise ValueError(
                "generator.text=False leaves Stage II without conditioning augmentation, and so "
                "without the term kl: set loss.g.kl=0"
            )
        if not self.generator.text and not self.discriminator.text_dim:
            raise ValueError(
                "generator.text=False leaves D without the generator's mu: set "
                "discriminator.text_dim > 0, with which D sees the sentence"
            )

    @property
    def noise_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Noise of one sampled image: z and eps1 of Stage I, eps2 of Stage II with text."""
        low, high = self.stage1.noise_shapes, self.generator.noise_shapes
        shapes = {"z": low["z"], "eps1": low["eps"]}
        return {**shapes, "eps2": high["eps"]} if high else shapes

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """Also an untrained Stage I."""
        if name != "stage1":
            return super().init_frozen(name, key, seen)
        noise = no_noise(self.stage1.noise_shapes)
        sentence = jnp.zeros((1, seen.text.sentence.shape[-1]))
        return self.stage1.init(key, noise, sentence, train=False)

    def _init_generator(self, key, noise, sentence, seen: Seen) -> Variables:
        low = jnp.zeros((1, *(self.stage1.image_size,) * 2, 3))
        own = self.generator.init(key, low, _split(noise)[1], sentence, train=False)
        # Copies: the state that a training goes on from is donated to its step.
        return {**own, _STAGE1: jax.tree.map(jnp.copy, dict(seen.frozen[_STAGE1]))}

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images`` (small, large) and ``mu``, ``logvar`` of Stage II (None without
        text).
        """
        sentence, stage1 = seen.text.sentence, g_vars[_STAGE1]
        low_noise, high_noise = _split(noise)
        low = Net(self.stage1, stage1, train=train and self.statistics == "moving")
        small = lax.stop_gradient(low(low_noise, sentence).images[-1])
        own = {name: tree for name, tree in g_vars.items() if name != _STAGE1}
        high = Net(self.generator, own, train=train)
        made = high(small, high_noise, sentence)
        moved = {_STAGE1: with_state(stage1, low.state)} if low.state else {}
        out = {"images": (small, *made.images), "mu": made.mu, "logvar": made.logvar}
        return out, {**moved, **high.state}


def _split(noise: Mapping[str, jax.Array]):
    """Noise of Stage I and of Stage II under the names that their generators use."""
    high = {"eps": noise["eps2"]} if "eps2" in noise else {}
    return {"z": noise["z"], "eps": noise["eps1"]}, high
