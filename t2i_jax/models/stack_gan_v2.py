"""Networks of StackGAN-v2, which draws the same picture at several sizes in one pass.

Zhang et al., "StackGAN++", IEEE TPAMI 2019 (arXiv 1710.10916), section 4, with the layers of the
authors' release.

The generator is a chain of stages. The first turns noise and a condition drawn from the sentence
into a feature map. Each further stage reads the map before it and the condition once more, and
returns a map of twice the side. One convolution turns the map of a stage into an image, so that
three stages give images of 64, 128 and 256 px.

Without text, the noise takes the condition's place. The trees that the paper compares in its
ablations are fields of `Generator`. The release's fifth stage cannot run; here it is one stage more
of the same kind.

The discriminator is in a file of its own, `t2i_jax.models.stack_gan_v2_discriminator`.

DR-GAN's Semantic Disentangling Module can be put in front of every stage but the first
(``sdm=True``): it masks the map that the stage reads. There are no words, so it has the half of the
image alone.

AssertionError where arrays have other shapes than the docstrings give.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.conditioning import ConditioningAugmentation, draw
from t2i_jax.models.gated_stages import ORTHOGONAL, FirstStage, NextStage
from t2i_jax.models.images import check_side
from t2i_jax.models.layers import Conv, Dtype, check_noise
from t2i_jax.models.semantic_disentangling import Disentangled, SemanticDisentangling
from t2i_jax.models.stack_gan_v2_discriminator import Discriminator

__all__ = ["Discriminator", "Generated", "Generator"]


class Generated(NamedTuple):
    """What the generator makes.

    images: [B, S, S, 3] float32 in [-1, 1], in the order of `Generator.image_sizes`.
    conditions: the sampled condition of each image, [B, condition_dim]; () without text.
    mu, logvar: of the conditioning augmentation, [B, condition_dim]; None without text.
    disentangled: of the second and later stages; () without the module or without real images.
    """

    images: tuple[jax.Array, ...]
    conditions: tuple[jax.Array, ...] = ()
    mu: jax.Array | None = None
    logvar: jax.Array | None = None
    disentangled: tuple[Disentangled, ...] = ()


class Generator(nn.Module):
    """Noise and a sentence to one image a scale. Stages are numbered from 1.

    channels: width of the first stage's result (``GF_DIM``); halved by each further stage.
    condition_dim: width of the augmented condition (``EMBEDDING_DIM``); 0: unconditional, and the
        later stages see the noise itself.
    noise_dim: width of the noise z.
    residual_blocks: in stages 2 and 3; stages 4 and 5 have one, as in the release.
    scales: number of stages, 1 to 5.
    base_size: side of the first stage's images, a power of two >= 8; 64 is published.
    augment: False gives c = mu.
    heads: stages that emit an image; () for all. (3,) is the paper's ablation "G3".
    last_copies: independent copies of the last stage, each with its own weights, noise and image;
        heads=(3,) with 3 copies is "3G3".
    same_size: every stage works and emits at the final resolution: "all256".
    sdm: puts DR-GAN's Semantic Disentangling Module in front of every stage but the first, for
        trees whose stages all emit images; sdm_form, sdm_mask_scale: its `form` and `mask_scale`.
    axis_name: mapped axis over which batch norm reduces.
    """

    channels: int = 64
    condition_dim: int = 128
    noise_dim: int = 100
    residual_blocks: int = 2
    scales: int = 3
    base_size: int = 64
    augment: bool = True
    heads: tuple[int, ...] = ()
    last_copies: int = 1
    same_size: bool = False
    sdm: bool = False
    sdm_form: str = "paper"
    sdm_mask_scale: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def emitting(self) -> tuple[tuple[int, int], ...]:
        """(stage, copy) of every image, from low to high resolution."""
        self._check()
        copies = {self.scales: self.last_copies}
        heads = self.heads or range(1, self.scales + 1)
        return tuple((s, c) for s in heads for c in range(copies.get(s, 1)))

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of the images in pixels."""
        top = self.base_size * 2 ** (self.scales - 1)
        stages = [stage for stage, _ in self.emitting]
        return tuple(top if self.same_size else self.base_size * 2 ** (s - 1) for s in stages)

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Standard normal noise of one image: z; eps of the conditioning augmentation; and what
        tells the copies of the last stage apart.
        """
        shapes = {"z": (self.noise_dim,)}
        if self.condition_dim:
            shapes["eps"] = (self.condition_dim,)
        if self.last_copies > 1:
            shapes["copies"] = (self.last_copies, self.condition_dim or self.noise_dim)
        return shapes

    def blocks_in(self, stage: int) -> int:
        """Residual blocks of a stage from 2 on."""
        return self.residual_blocks if stage <= 3 else 1

    def _check(self) -> None:
        if not 1 <= self.scales <= 5:
            raise ValueError(f"scales must be 1 to 5, got {self.scales}")
        check_side("base_size", self.base_size, 8)
        halvings = 2 ** (self.scales - 1)
        if self.channels % halvings:
            raise ValueError(
                f"channels={self.channels} cannot be halved for each of scales={self.scales}: "
                f"take a multiple of {halvings}"
            )
        allowed = range(1, self.scales + 1)
        if any(h not in allowed for h in self.heads) or list(self.heads) != sorted(set(self.heads)):
            raise ValueError(
                f"heads={self.heads} must be ascending stages from 1 to scales={self.scales}"
            )
        if self.last_copies < 1 or (self.last_copies > 1 and self.scales == 1):
            raise ValueError(
                f"last_copies={self.last_copies} with scales={self.scales}: needs at least 1 copy, "
                "and at least 2 scales for more than one"
            )
        if self.sdm and self.heads:
            raise ValueError(
                f"sdm=True needs the image of every stage, but heads={self.heads}: leave it ()"
            )

    @nn.compact
    def __call__(
        self,
        noise: Mapping[str, jax.Array],
        sentence: jax.Array | None,
        train: bool,
        real: Sequence[jax.Array] | None = None,
    ) -> Generated:
        """noise: rows of `noise_shapes`. sentence: [B, E], or None for an unconditional generator.

        real: real images of the sizes `image_sizes`, for the losses of ``sdm``. They change no
            image, but in training the running statistics of the layers that they pass.

        Raises ValueError for fields that do not fit each other.
        """
        emitting = self.emitting
        rows = noise["z"].shape[0]
        check_noise(noise, self.noise_shapes, rows)
        if real is None and self.is_initializing():  # the encoder of real images needs weights too
            real = [jnp.zeros((rows, s, s, 3)) for s in self.image_sizes]
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        copies = [noise["copies"][:, i] for i in range(self.last_copies) if self.last_copies > 1]
        mu = logvar = None
        if self.condition_dim:
            chex.assert_shape(sentence, (rows, None))
            augmentation = ConditioningAugmentation(
                self.condition_dim,
                augment=self.augment,
                kernel_init=ORTHOGONAL,
                dtype=self.dtype,
                name="ca",
            )
            condition, mu, logvar = augmentation(sentence, noise["eps"])
            copies = [draw(mu, logvar, eps) if self.augment else mu for eps in copies]
            start = jnp.concatenate([condition, noise["z"]], axis=-1)
        else:
            condition = start = noise["z"]

        ups = (self.base_size // 4).bit_length() - 1
        extra = self.scales - 1 if self.same_size else 0
        h = FirstStage(self.channels // 2**extra, ups + extra, name="stage1", **norm)(start, train)
        head, images, conditions, disentangled = None, [], [], []
        for stage in range(1, self.scales + 1):
            results = [(condition, h)]
            if stage > 1:
                if self.sdm:
                    module = SemanticDisentangling(
                        self.sdm_form, self.sdm_mask_scale, name=f"sdm{stage}", **norm
                    )
                    h, _, parts = module(h, None, None if real is None else real[stage - 2], train)
                    if parts is not None:
                        # The layer that drew this size decodes the real image as well.
                        decoded = jnp.tanh(head(parts.features.real).astype(jnp.float32))
                        disentangled.append(parts._replace(reconstruction=decoded))
                own = copies if stage == self.scales and copies else [condition]
                results = []
                for i, c in enumerate(own):
                    name = f"stage{stage}" + (f"_copy{i}" if i else "")
                    block = NextStage(self.blocks_in(stage), not self.same_size, name=name, **norm)
                    results.append((c, block(h, c, train)))
                h = results[0][1]
            for i, (c, x) in enumerate(results):
                if (stage, i) in emitting:
                    name = f"image{stage}" + (f"_copy{i}" if i else "")
                    head = Conv(3, kernel_init=ORTHOGONAL, dtype=self.dtype, name=name)
                    images.append(jnp.tanh(head(x).astype(jnp.float32)))
                    conditions.append(c)
        conditions = () if mu is None else tuple(conditions)
        return Generated(tuple(images), conditions, mu, logvar, tuple(disentangled))
