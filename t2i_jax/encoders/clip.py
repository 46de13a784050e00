"""CLIP (Radford et al., ICML 2021, arXiv 2103.00020, section 2.4): a transformer of captions and a
vision transformer, whose vectors lie in one space and are compared by the cosine.

Layers are normalised before attention and before the two dense layers, whose results are added. A
token of a caption sees those before it alone, so that the vector at the token that ends it is of
the whole caption. An image is cut into square patches; its vector is that of a learned token before
them. Both are normalised and projected without a bias.

Departures: the paper's ResNets are not here. Sums and products are taken in the highest precision
that the device has, since the vectors are measures.
"""

import functools
from collections.abc import Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.encoders import bert
from t2i_jax.models.layers import Dtype

# By the names of config.json's hidden_act; the first is that of the published weights.
ACTIVATIONS = {"quick_gelu": lambda x: x * nn.sigmoid(1.702 * x), **bert.ACTIVATIONS}
HIGHEST_ID = 2  # in the place of the end token's id: captions end at their highest id
_INIT = nn.initializers.normal(0.02)


class Layer(nn.Module):
    """[B, T, E] -> [B, T, E]: self-attention, then two dense layers. Fields as in `_Transformer`.

    causal: whether a place sees itself and those before it alone.
    """

    heads: int
    inner: int
    activation: str
    epsilon: float
    causal: bool
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def dense(features: int, name: str) -> nn.Dense:
            return nn.Dense(features, dtype=self.dtype, kernel_init=_INIT, name=name)

        seen = bert.norm(self.epsilon, self.dtype, "attention_norm")(x)
        x = x + bert.self_attention(seen, self.heads, dense, causal=self.causal)
        seen = bert.norm(self.epsilon, self.dtype, "norm")(x)
        inner = ACTIVATIONS[self.activation](dense(self.inner, "inner")(seen))
        return x + dense(x.shape[-1], "outer")(inner)


def _precise(call: Callable) -> Callable:
    """A module's method with the highest precision of products."""

    @functools.wraps(call)
    def precise(*args):
        with jax.default_matmul_precision("highest"):
            return call(*args)

    return precise


class _Transformer(nn.Module):
    """width, layers, heads, inner: sizes of the layers; `inner` between the two dense ones.
    activation, epsilon: between the dense layers, and of the layer norms.
    embedding: the size of the vectors.
    """

    width: int = 512
    layers: int = 12
    heads: int = 8
    inner: int = 2048
    activation: str = "quick_gelu"
    epsilon: float = 1e-5
    embedding: int = 512
    dtype: Dtype = jnp.float32

    def through_layers(self, x: jax.Array, causal: bool) -> jax.Array:
        """[B, T, E] -> [B, T, E]. Raises ValueError for fields that cannot be."""
        check_choice("activation", self.activation, ACTIVATIONS)
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is no multiple of heads={self.heads}")
        for i in range(1, self.layers + 1):
            fields = (self.heads, self.inner, self.activation, self.epsilon, causal, self.dtype)
            x = Layer(*fields, name=f"layer{i}")(x)
        return x

    def projected(self, x: jax.Array) -> jax.Array:
        """[B, E] -> [B, embedding], normalised first."""
        x = bert.norm(self.epsilon, self.dtype, "final_norm")(x)
        dense = nn.Dense(
            self.embedding, False, dtype=self.dtype, kernel_init=_INIT, name="projection"
        )
        return dense(x).astype(jnp.float32)


class TextTransformer(_Transformer):
    """Token ids [N, T] -> [N, embedding]. What follows the token that ends a caption, such as
    padding, does not matter.

    vocab_size: number of ids.
    positions: the longest captions that it can read, in ids.
    end: the id that ends a caption, at its first place. `HIGHEST_ID`: a caption ends at its highest
        id; files older than July 2023 have this number in place of the right one.
    """

    vocab_size: int = 49408
    positions: int = 77
    end: int = 49407

    @nn.compact
    @_precise
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Raises ValueError for fields that cannot be, and for rows longer than `positions`."""
        chex.assert_rank(tokens, 2)
        if tokens.shape[1] > self.positions:
            raise ValueError(
                f"captions are {tokens.shape[1]} ids long, but this encoder has {self.positions} "
                "positions"
            )
        words = self.param("words", _INIT, (self.vocab_size, self.width))
        positions = self.param("positions", _INIT, (self.positions, self.width))
        x = jnp.take(words, tokens, axis=0) + positions[: tokens.shape[1]]
        x = self.through_layers(x.astype(self.dtype), causal=True)
        last = tokens if self.end == HIGHEST_ID else tokens == self.end
        at = jnp.argmax(last, axis=1)[:, None, None]
        return self.projected(jnp.take_along_axis(x, at, axis=1)[:, 0])


class ImageTransformer(_Transformer):
    """Images [N, image_size, image_size, 3], normalised as the weights ask for (see
    `t2i_jax.interop.clip.Preprocessing`) -> [N, embedding].

    patch: side of a patch in pixels; what is left over at the right and below is not seen.
    """

    width: int = 768
    heads: int = 12
    inner: int = 3072
    image_size: int = 224
    patch: int = 32

    @nn.compact
    @_precise
    def __call__(self, images: jax.Array) -> jax.Array:
        """Raises ValueError for fields that cannot be."""
        chex.assert_shape(images, (None, self.image_size, self.image_size, 3))
        sides = (self.patch, self.patch)
        cut = nn.Conv(
            self.width, sides, sides, "VALID", use_bias=False, dtype=self.dtype, name="patches"
        )
        patches = cut(images)
        patches = patches.reshape(len(images), -1, self.width)
        first = self.param("class_token", _INIT, (self.width,))
        positions = self.param("positions", _INIT, (1 + patches.shape[1], self.width))
        firsts = jnp.broadcast_to(first, (len(images), 1, self.width))
        x = jnp.concatenate([firsts, patches], axis=1) + positions
        x = bert.norm(self.epsilon, self.dtype, "first_norm")(x)
        return self.projected(self.through_layers(x, causal=False)[:, 0])
