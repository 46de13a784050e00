"""The generator that AttnGAN, DM-GAN and DR-GAN share.

A first stage turns noise and a sentence into a feature map; every further stage reads the words of
the caption at each position of the map, joins what it read to the map, and doubles the side; an
image head draws every stage's map. Published: three stages, 64, 128 and 256 px.

What a system adds is a `Refinement` of its own: what `read` takes from the words, and how `fuse`
joins it to the map. AttnGAN (Xu et al., arXiv 1711.10485) is the plain case. DR-GAN's Semantic
Disentangling Module goes between the two in any of them (``sdm=True``).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.attention import WordAttention
from t2i_jax.models.conditioning import ConditioningAugmentation
from t2i_jax.models.convolutions import Upsampled
from t2i_jax.models.gated_stages import ORTHOGONAL, FirstStage, Residual
from t2i_jax.models.images import check_side
from t2i_jax.models.layers import Conv, ConvNorm, Dtype, check_noise, glu
from t2i_jax.models.semantic_disentangling import Disentangled, SemanticDisentangling


class Generated(NamedTuple):
    """What a generator makes.

    images: [B, S, S, 3] float32 in [-1, 1], from low to high resolution.
    mu, logvar: of the conditioning augmentation, [B, condition_dim].
    attention: weights of the words at every position of the second and later stages' input maps,
        [B, H, W, T], each position's sum being 1.
    disentangled: of the same stages; () without the module or without real images.
    """

    images: tuple[jax.Array, ...]
    mu: jax.Array
    logvar: jax.Array
    attention: tuple[jax.Array, ...]
    disentangled: tuple[Disentangled, ...] = ()


class ImageHead(nn.Module):
    """[B, H, W, C] -> [B, H, W, 3] in [-1, 1]: `convs` convolutions that halve the width, batch
    norm and tanh between them.
    """

    convs: int = 1
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        common = dict(kernel_init=ORTHOGONAL, dtype=self.dtype)
        for i in range(1, self.convs):
            width = max(1, x.shape[-1] // 2)
            block = ConvNorm(width, axis_name=self.axis_name, name=f"block{i}", **common)
            x = jnp.tanh(block(x, train))
        return jnp.tanh(Conv(3, name="conv", **common)(x).astype(jnp.float32))


class Refinement(nn.Module):
    """A map [B, H, W, C] and the words of the caption -> [B, 2H, 2W, C].

    Fields as in `Generator`. Systems override `read` and `fuse`.
    """

    residual_blocks: int
    mask_order: str = "sample"
    sdm: bool = False
    sdm_form: str = "paper"
    sdm_mask_scale: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def norm(self) -> dict:
        """Fields of a layer with batch norm."""
        return dict(dtype=self.dtype, axis_name=self.axis_name)

    def read(
        self, features: jax.Array, words: jax.Array, mask: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """(context [B, H, W, C], attention [B, H, W, T]): AttnGAN's word attention."""
        return WordAttention(self.mask_order, name="attention", **self.norm)(features, words, mask)

    def fuse(self, features: jax.Array, context: jax.Array) -> jax.Array:
        """The map and its context as one, [B, H, W, 2C]."""
        return jnp.concatenate([features, context], axis=-1)

    @nn.compact
    def __call__(
        self,
        features: jax.Array,
        words: jax.Array,
        mask: jax.Array,
        train: bool,
        real: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, Disentangled | None]:
        """real: real images [B, H, W, 3] for the losses of ``sdm``; read by nothing else."""
        context, attention = self.read(features, words, mask, train)
        parts = None
        if self.sdm:
            disentangle = SemanticDisentangling(
                self.sdm_form, self.sdm_mask_scale, name="sdm", **self.norm
            )
            features, context, parts = disentangle(features, context, real, train)
        x = self.fuse(features, context)
        for i in range(1, self.residual_blocks + 1):
            x = Residual(name=f"res{i}", **self.norm)(x, train)
        block = ConvNorm(x.shape[-1], kernel_init=ORTHOGONAL, name="up", **self.norm)
        return glu(block(Upsampled(x), train)), attention, parts


class Generator(nn.Module):
    """Noise, a sentence and words to one image a stage.

    channels: width of every stage's result (``GF_DIM``).
    condition_dim: width of the augmented condition; noise_dim: of the noise z.
    residual_blocks: of each refinement (``R_NUM``).
    scales: number of stages, at least 1; base_size: side of the first one's images, a power of two
        >= 8.
    augment: False gives c = mu.
    mask_order: "sample", or the releases' "tiled", see `attention.attend`.
    head_convs: convolutions of an image head: 1 (AttnGAN, DM-GAN) or 3 (DR-GAN).
    sdm: puts DR-GAN's Semantic Disentangling Module into every refinement; sdm_form and
        sdm_mask_scale: its `form` and `mask_scale`.
    axis_name: mapped axis over which batch norm reduces.
    """

    refinement: ClassVar[type[Refinement]] = Refinement

    channels: int = 32
    condition_dim: int = 100
    noise_dim: int = 100
    residual_blocks: int = 2
    scales: int = 3
    base_size: int = 64
    augment: bool = True
    mask_order: str = "sample"
    head_convs: int = 1
    sdm: bool = False
    sdm_form: str = "paper"
    sdm_mask_scale: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of the images in pixels; ValueError for fields out of range."""
        if self.scales < 1:
            raise ValueError(f"scales must be at least 1, got {self.scales}")
        check_side("base_size", self.base_size, 8)
        return tuple(self.base_size * 2**i for i in range(self.scales))

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Standard normal noise of one image: z, and eps of the conditioning augmentation."""
        return {"z": (self.noise_dim,), "eps": (self.condition_dim,)}

    @nn.compact
    def __call__(
        self,
        noise: Mapping[str, jax.Array],
        sentence: jax.Array,
        words: jax.Array,
        mask: jax.Array,
        train: bool,
        real: Sequence[jax.Array] | None = None,
    ) -> Generated:
        """noise: rows of `noise_shapes`. sentence: [B, E]. words: [B, T, E]. mask: [B, T], True on
        real tokens.

        real: real images of the sizes `image_sizes`, for the losses of ``sdm``. They change no
            image, but in training the running statistics of the layers that they pass.
        """
        sizes = self.image_sizes
        chex.assert_rank(sentence, 2)
        chex.assert_shape(words, (sentence.shape[0], None, None))
        chex.assert_shape(mask, words.shape[:2])
        check_noise(noise, self.noise_shapes, sentence.shape[0])
        if real is None and self.is_initializing():  # the encoder of real images needs weights too
            real = [jnp.zeros((sentence.shape[0], s, s, 3)) for s in sizes]
        if real is not None:
            chex.assert_equal(len(real), self.scales)
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)

        augmentation = ConditioningAugmentation(
            self.condition_dim,
            augment=self.augment,
            kernel_init=ORTHOGONAL,
            dtype=self.dtype,
            name="ca",
        )
        condition, mu, logvar = augmentation(sentence, noise["eps"])
        ups = (self.base_size // 4).bit_length() - 1
        first = FirstStage(self.channels, ups, name="stage1", **norm)
        h = first(jnp.concatenate([condition, noise["z"]], axis=-1), train)
        head = ImageHead(self.head_convs, name="image1", **norm)
        images, attention, disentangled = [head(h, train)], [], []
        for stage in range(2, self.scales + 1):
            refine = self.refinement(
                residual_blocks=self.residual_blocks,
                mask_order=self.mask_order,
                sdm=self.sdm,
                sdm_form=self.sdm_form,
                sdm_mask_scale=self.sdm_mask_scale,
                name=f"stage{stage}",
                **norm,
            )
            h, weights, parts = refine(
                h, words, mask, train, None if real is None else real[stage - 2]
            )
            attention.append(weights)
            if parts is not None:
                # The head that drew this size decodes the real image as well.
                decoded = head(parts.features.real, train)
                disentangled.append(parts._replace(reconstruction=decoded))
            head = ImageHead(self.head_convs, name=f"image{stage}", **norm)
            images.append(head(h, train))
        return Generated(tuple(images), mu, logvar, tuple(attention), tuple(disentangled))
