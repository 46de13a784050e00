"""XMC-GAN's generator, one stage from noise, sentence and words to an image.

Zhang et al., "Cross-Modal Contrastive Learning for Text-to-Image Generation" (CVPR 2021, arXiv
2101.04702), section 4.1, with the layers of the authors' release. The paper's form is the default;
fields give what the release computes in its place. The discriminator is in
`t2i_jax.models.xmc_gan_discriminator`.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.convolutions import Upsampled, upsample_nearest
from t2i_jax.models.layers import Conv, Dtype, check_noise, normalized
from t2i_jax.models.modulation import GLOROT, Caption, ModulatedNorm, cosine_attention
from t2i_jax.models.one_noise import OneNoiseGenerator
from t2i_jax.models.xmc_gan_discriminator import Discriminator
from t2i_jax.types import Text

__all__ = ["Discriminator", "Generator", "Made"]

GRID = 16  # side of the map that shares its attention
# Widths of the blocks by the image's side, as multiples of `channels`; 128 and 256 px published.
WIDTHS = {
    32: (16, 8, 4),
    64: (16, 8, 4, 2),
    128: (16, 8, 4, 2, 1),
    256: (16, 8, 8, 4, 2, 1),
}
_CHOICES = {
    "start": ("condition", "noise"),
    "attention": ("layer", "shared", "none"),
    "gain": ("gamma", "one_plus_gamma"),
}


class Made(NamedTuple):
    """images: a tuple of one [B, S, S, 3] in [-1, 1].

    attention: a map [B, h, w, T] for every block that attends, or the one that they share.
    """

    images: tuple[jax.Array, ...]
    attention: tuple[jax.Array, ...]


class UpBlock(nn.Module):
    """Residual block that doubles the resolution, with two modulated norms."""

    features: int
    norm: Mapping[str, Any]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, caption: Caption, train: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """[B, H, W, C] -> ([B, 2H, 2W, features], the attention of the second norm)."""
        h, _ = ModulatedNorm(**self.norm, name="norm1")(x, caption, train)
        h = Upsampled(nn.relu(h))
        h = _conv(self.features, self.dtype, name="conv1")(h)
        h, attention = ModulatedNorm(**self.norm, name="norm2")(h, caption, train)
        h = _conv(self.features, self.dtype, name="conv2")(nn.relu(h))
        # The convolution of single positions commutes with upsampling.
        shortcut = _conv(self.features, self.dtype, kernel=1, name="shortcut")(x)
        return h + upsample_nearest(shortcut), attention


def _conv(features: int, dtype: Dtype, kernel: int = 3, **fields) -> Conv:
    return Conv(
        features,
        kernel,
        padding=kernel // 2,
        use_bias=True,
        kernel_init=GLOROT,
        dtype=dtype,
        **fields,
    )


class Generator(OneNoiseGenerator):
    """Noise, a sentence and its words to an image.

    channels: channel base (``gf_dim``); 96 is published.
    image_size: side of the image: 32, 64, 128 or 256; the paper's is 256, the release's 128.
    noise_dim: width of the noise z.
    rho: sharpness of attention to words.

    Where the release departs from the paper, the paper's first:

    start: what the first map is made of. "condition": the condition of all norms, sentence and
        noise. "noise": the noise alone.
    project_sentence: False: the condition holds the sentence vector itself. True: a linear
        projection of it to `noise_dim`.
    attention: "layer": each attending norm compares its own features with the words. "shared": the
        16x16 map, projected to the width of the words, attends once for all. "none": no norm
        attends (the paper's ablation of modulation).
    unit_words: whether the words that are attended to have length 1.
    attend_from: the least resolution of the input of blocks that attend: 32 in the paper ("above
        16"), 16 in the release.
    last_attends: whether the norm before the image attends as well.
    gain: "gamma" or "one_plus_gamma", see `ModulatedNorm`; they differ at the start of a training.
    """

    channels: int = 96
    image_size: int = 256
    noise_dim: int = 128
    rho: float = 15.0
    start: Literal["condition", "noise"] = "condition"
    project_sentence: bool = False
    attention: Literal["layer", "shared", "none"] = "layer"
    unit_words: bool = False
    attend_from: int = 32
    last_attends: bool = False
    gain: Literal["gamma", "one_plus_gamma"] = "gamma"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def reads(self) -> str:
        """ "words", or "sentence" where nothing attends to words."""
        return "sentence" if self.attention == "none" else "words"

    @nn.compact
    def __call__(
        self,
        noise: Mapping[str, jax.Array],
        sentence: jax.Array,
        words: jax.Array | None = None,
        mask: jax.Array | None = None,
        *,
        train: bool,
    ) -> Made:
        """noise: rows of `noise_shapes`; sentence [B, E']; words [B, T, E]; mask [B, T], True on
        real words; neither is read where ``attention`` is "none". Raises ValueError for impossible
        fields.
        """
        self._check()
        attends = self.attention != "none"
        chex.assert_rank(sentence, 2)
        check_noise(noise, self.noise_shapes, sentence.shape[0])
        z = noise["z"].astype(self.dtype)
        sentence = sentence.astype(self.dtype)
        if self.project_sentence:
            sentence = self._dense(self.noise_dim, "sentence")(sentence)
        condition = jnp.concatenate([sentence, z], axis=-1)
        caption = Caption(condition)
        if attends:
            chex.assert_rank([words, mask], [3, 2])
            words = words.astype(self.dtype)
            caption = Caption(condition, normalized(words) if self.unit_words else words, mask)

        first = z if self.start == "noise" else condition
        x = self._dense(4 * 4 * 16 * self.channels, "first")(first)
        x = x.reshape(-1, 4, 4, 16 * self.channels)
        maps = []
        for i, width in enumerate(WIDTHS[self.image_size]):
            side = x.shape[1]
            if side == GRID and self.attention == "shared":
                queries = _conv(words.shape[-1], self.dtype, kernel=1, name="query")(x)
                attention = cosine_attention(queries, words, mask, self.rho)
                caption = caption._replace(attention=attention)
                maps.append(attention)
            norm = self._norm(attends and side >= self.attend_from)
            block = UpBlock(width * self.channels, norm, self.dtype, name=f"block{i}")
            x, attention = block(x, caption, train)
            if norm["attends"] and self.attention == "layer":
                maps.append(attention)
        norm = self._norm(attends and self.last_attends)
        x, _ = ModulatedNorm(**norm, name="norm")(x, caption, train)
        image = nn.tanh(_conv(3, self.dtype, name="image")(nn.relu(x)))
        return Made((image.astype(jnp.float32),), tuple(maps))

    def draw(self, noise: Mapping[str, jax.Array], text: Text, train: bool) -> jax.Array:
        """The images alone, [B, H, W, 3]."""
        return self(noise, *text, train=train).images[-1]

    def _dense(self, features: int, name: str) -> nn.Dense:
        return nn.Dense(features, kernel_init=GLOROT, dtype=self.dtype, name=name)

    def _norm(self, attends: bool) -> dict[str, Any]:
        """Fields of a norm."""
        return {
            "attends": attends,
            "gain": self.gain,
            "rho": self.rho,
            "dtype": self.dtype,
            "axis_name": self.axis_name,
        }

    def _check(self) -> None:
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        check_choice("image_size", self.image_size, WIDTHS)
        if self.attention == "shared" and self.attend_from < GRID:
            raise ValueError(
                f"attend_from={self.attend_from}: the attention that blocks share is that of the "
                f"{GRID}x{GRID} map, so no block before it can attend; set it to {GRID} or more"
            )
