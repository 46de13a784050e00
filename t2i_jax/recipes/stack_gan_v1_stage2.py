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

from t2i_jax.models import stack_gan_v1 as models
from t2i_jax.models.stack_gan_v1 import Discriminator, Stage2Generator
from t2i_jax.recipes import stack_gan_v1
from t2i_jax.recipes.base import Batch, Variables, apply_train, with_state
from t2i_jax.types import Text

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
        if self.statistics not in _STATISTICS:
            raise ValueError(f"statistics must be one of {_STATISTICS}, got {self.statistics!r}")
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

    def _init_generator(self, key, noise, sentence) -> Variables:
        low_noise, high_noise = _split(noise)
        low = jnp.zeros((1, *(self.stage1.image_size,) * 2, 3))
        stage1 = self.stage1.init(jax.random.fold_in(key, 1), low_noise, sentence, train=False)
        own = self.generator.init(key, low, high_noise, sentence, train=False)
        return {**own, _STAGE1: stage1}

    def start(
        self, variables: dict[str, Variables], frozen: Mapping[str, Variables]
    ) -> dict[str, Variables]:
        """The initial variables with the trained Stage I in place of a random one."""
        if _STAGE1 not in frozen:
            return variables
        return {**variables, "g": {**variables["g"], _STAGE1: frozen[_STAGE1]}}

    def generate(
        self, g_vars: Variables, batch: Batch, text: Text, noise, train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images`` (small, large) and ``mu``, ``logvar`` of Stage II (None without
        text).
        """
        own, stage1 = _own(g_vars), g_vars[_STAGE1]
        low_noise, high_noise = _split(noise)
        new_state = {}
        if train and self.statistics == "moving":
            low, state = apply_train(self.stage1, stage1, low_noise, text.sentence)
            new_state[_STAGE1] = with_state(stage1, state)
        else:
            low = self.stage1.apply(stage1, low_noise, text.sentence, train=False)
        small = lax.stop_gradient(low.images[-1])
        args = (small, high_noise, text.sentence)
        if train:
            made, state = apply_train(self.generator, own, *args)
            new_state |= state
        else:
            made = self.generator.apply(own, *args, train=False)
        images = (small, *made.images)
        return {"images": images, "mu": made.mu, "logvar": made.logvar}, new_state

    def sample(
        self, g_vars: Variables, text: Text, noise: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, ...]:
        """Images of both stages, ([N, h, h, 3], [N, H, H, 3])."""
        return self.generate(g_vars, {}, text, noise, train=False)[0]["images"]


def _own(g_vars: Variables) -> Variables:
    return {name: tree for name, tree in g_vars.items() if name != _STAGE1}


def _split(noise: Mapping[str, jax.Array]):
    """Noise of Stage I and of Stage II under the names that their generators use."""
    high = {"eps": noise["eps2"]} if "eps2" in noise else {}
    return {"z": noise["z"], "eps": noise["eps1"]}, high
