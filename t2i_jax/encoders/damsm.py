"""The text and image encoders of DAMSM, the deep attentional multimodal similarity model of AttnGAN
(Xu et al., CVPR 2018, arXiv 1711.10485, section 3.2), and a small image encoder of our own.

A caption becomes a vector a word and one for the sentence, an image a vector a region and one for
the whole, all of one size. The losses that make them comparable are in `t2i_jax.losses.damsm`.

Departures from the authors' code: captions are padded and masked where theirs are sorted by length
and packed, with the same numbers; dropout acts only where a ``dropout`` key is given; the frozen
Inception-v3 may keep its running statistics in training.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.encoders.inception_v3 import InceptionV3, resize_bilinear, torchvision_name
from t2i_jax.models.layers import ConvNorm, Dtype, leaky_relu
from t2i_jax.types import Text


def _uniform(bound: float) -> Callable:
    """Initializer: uniform in [-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


class Lstm(nn.Module):
    """A long short-term memory that passes over masked steps and keeps its state there.

    Gates are in PyTorch's order (input, forget, cell, output) with its two bias vectors.
    """

    width: int
    reverse: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x [N, T, C], mask [N, T] -> (states of all steps [N, T, width], the last [N, width])."""
        init, gates = _uniform(self.width**-0.5), 4 * self.width
        input_kernel = self.param("input_kernel", init, (x.shape[-1], gates))
        input_bias = self.param("input_bias", init, (gates,))
        hidden_kernel = self.param("hidden_kernel", init, (self.width, gates)).astype(self.dtype)
        hidden_bias = self.param("hidden_bias", init, (gates,))
        # What does not depend on the state, for all steps in one product.
        given = x.astype(self.dtype) @ input_kernel.astype(self.dtype)
        given = given + (input_bias + hidden_bias).astype(self.dtype)

        def step(state, now):
            h, c = state
            given, real = now
            i, f, g, o = jnp.split(given + h @ hidden_kernel, 4, axis=-1)
            new_c = nn.sigmoid(f) * c + nn.sigmoid(i) * nn.tanh(g)
            new_h = nn.sigmoid(o) * nn.tanh(new_c)
            h, c = jnp.where(real, new_h, h), jnp.where(real, new_c, c)
            return (h, c), h

        zero = jnp.zeros((x.shape[0], self.width), self.dtype)
        steps = jnp.swapaxes(given, 0, 1), jnp.swapaxes(mask, 0, 1)[..., None]
        # Turned by hand: converters to other formats know no scan that runs backwards.
        turned = (lambda x: x[::-1]) if self.reverse else (lambda x: x)
        (last, _), states = jax.lax.scan(step, (zero, zero), jax.tree.map(turned, steps))
        return jnp.swapaxes(turned(states), 0, 1), last


class TextEncoder(nn.Module):
    """Word ids [N, T] -> ``Text(sentence=[N, embedding], words=[N, T, embedding], mask=[N, T])``.

    A bidirectional LSTM, the forward half of every vector first. Words at masked positions are 0;
    the sentence is the forward state at the last word and the backward state at the first.

    vocab_size: number of ids; 0, the default, is refused: it is the tokenizer's.
    word_dim: size of the word embeddings that the LSTM reads.
    embedding: size of the vectors, even.
    dropout: rate on the word embeddings; active only where `apply` is given a ``dropout`` key.
    axis_name: as in `t2i_jax.axis`; used by dropout alone.
    """

    tokenizer: ClassVar[str] = "word"

    vocab_size: int = 0
    word_dim: int = 300
    embedding: int = 256
    dropout: float = 0.5
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array | None = None) -> Text:
        """`tokens` integer ids below `vocab_size`; `mask` bool, True on real words, or None: then
        every id but 0 is one.

        Raises ValueError for a `vocab_size` of 0 or an odd `embedding`.
        """
        if self.vocab_size <= 0:
            raise ValueError(
                "vocab_size must be the number of ids of the tokenizer whose captions are encoded, "
                f"not {self.vocab_size}"
            )
        if self.embedding % 2:
            raise ValueError(f"embedding must be even, half for each direction: {self.embedding}")
        chex.assert_rank(tokens, 2)
        mask = tokens != 0 if mask is None else mask
        chex.assert_equal_shape([tokens, mask])
        table = self.param("words", _uniform(0.1), (self.vocab_size, self.word_dim))
        x = self._drop(jnp.take(table, tokens, axis=0))
        width = self.embedding // 2
        forward = Lstm(width, dtype=self.dtype, name="forward")(x, mask)
        backward = Lstm(width, reverse=True, dtype=self.dtype, name="backward")(x, mask)
        words, sentence = (
            jnp.concatenate(halves, axis=-1).astype(jnp.float32)
            for halves in zip(forward, backward, strict=True)
        )
        return Text(sentence, jnp.where(mask[..., None], words, 0.0), mask)

    def _drop(self, x: jax.Array) -> jax.Array:
        """Dropout whose mask is drawn for the global batch."""
        if self.dropout == 0.0 or not self.has_rng("dropout"):
            return x
        keep = 1.0 - self.dropout
        draw = axis.uniform(self.make_rng("dropout"), x.shape, self.axis_name)
        return jnp.where(draw < keep, x / keep, 0.0)


class ImageFeatures(NamedTuple):
    """An encoded image.

    regions: [B, N, E] one vector a region, row by row.
    code: [B, E] one vector for the whole image.
    """

    regions: jax.Array
    code: jax.Array


class _Projections(nn.Module):
    """Base of the image encoders: two maps of one trunk, projected to the size of the text."""

    embedding: int = 256
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def project(self, local: jax.Array, whole: jax.Array) -> ImageFeatures:
        """local [B, h, w, C] and whole [B, h', w', C'], which is averaged over positions."""
        init = _uniform(0.1)
        mean = jnp.mean(whole.astype(jnp.float32), axis=(1, 2))
        regions = nn.Conv(
            self.embedding,
            (1, 1),
            use_bias=False,
            dtype=self.dtype,
            kernel_init=init,
            name="regions",
        )(local)
        code = nn.Dense(
            self.embedding,
            dtype=self.dtype,
            kernel_init=init,
            bias_init=_uniform(whole.shape[-1] ** -0.5),
            name="code",
        )(mean)
        b, h, w, e = regions.shape
        regions = regions.reshape(b, h * w, e)
        return ImageFeatures(regions.astype(jnp.float32), code.astype(jnp.float32))


class ImageEncoder(_Projections):
    """Images [B, H, W, 3] in [-1, 1] -> `ImageFeatures`: an Inception-v3, whose variables are under
    the name ``inception``, and two projections, which alone are trained in the paper.

    With the defaults there are 17x17 regions of ``Mixed_6e`` and the code is of the mean of
    ``Mixed_7c``; images of another size than `image_size` are resized to it.

    local_layer, global_layer: blocks of the trunk, by torchvision's or Keras' name.
    pool_counts_padding: of the trunk, see `InceptionV3`: True for torchvision's and the authors'
        weights, False for Keras'.
    batch_statistics: whether the trunk's batch norms use and update statistics in training, as they
        do in the authors' code although its parameters are frozen, or keep the published ones.
    """

    local_layer: str = "Mixed_6e"
    global_layer: str = "Mixed_7c"
    pool_counts_padding: bool = True
    batch_statistics: bool = True
    image_size: int = 299

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> ImageFeatures:
        """Raises ValueError for a layer that the trunk does not have."""
        chex.assert_shape(images, (None, None, None, 3))
        layers = map(torchvision_name, (self.local_layer, self.global_layer))
        trunk = InceptionV3(
            self.pool_counts_padding,
            self.dtype,
            self.axis_name,
            last=max(layers),  # the names are in alphabetical order
            name="inception",
        )
        maps = trunk(
            resize_bilinear(images, self.image_size), train=train and self.batch_statistics
        )
        return self.project(maps[self.local_layer], maps[self.global_layer])


class CompactImageEncoder(_Projections):
    """Images [B, H, W, 3] in [-1, 1] -> `ImageFeatures`: a small network for training from scratch
    where there are no published weights. It is this library's own and belongs to no paper.

    Every stage halves H and W with a 4x4 convolution and looks around with a 3x3 one.

    widths: channels of the stages.
    local_stages: stages before the map of regions: 3 for a region every 8 pixels, which sees 50x50.
    pooled: whether the code is of the mean over positions, of images of any size, or of every
        position by itself, of images of one size: for what is always at about the same place.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    local_stages: int = 3
    pooled: bool = True

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> ImageFeatures:
        """Raises ValueError where `local_stages` is not among the stages, or H or W is not a
        multiple of what they divide it by.
        """
        chex.assert_shape(images, (None, None, None, 3))
        if not 1 <= self.local_stages <= len(self.widths):
            raise ValueError(
                f"local_stages must be 1 to {len(self.widths)}, the number of widths, not "
                f"{self.local_stages}"
            )
        factor = 2 ** len(self.widths)
        if images.shape[1] % factor or images.shape[2] % factor:
            raise ValueError(
                f"images of {images.shape[1:3]} cannot be halved {len(self.widths)} times: height "
                f"and width must be multiples of {factor}; or give fewer widths than {self.widths}"
            )
        maps, x = [], images
        for i, width in enumerate(self.widths, start=1):
            for name, options in ((f"down{i}", {"kernel": 4, "stride": 2}), (f"look{i}", {})):
                block = ConvNorm(
                    width, **options, dtype=self.dtype, axis_name=self.axis_name, name=name
                )
                x = leaky_relu(block(x, train))
            maps.append(x)
        if not self.pooled:
            x = x.reshape(len(x), 1, 1, -1)
        return self.project(maps[self.local_stages - 1], x)
