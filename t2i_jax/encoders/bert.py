"""BERT (Devlin et al., NAACL 2019, arXiv 1810.04805), as XMC-GAN reads captions with it (Zhang et
al., CVPR 2021, arXiv 2101.04702), and every encoder of its shape, such as MiniLM.

Word pieces become the sum of three embeddings (piece, position, type); every layer is
self-attention and two dense layers, each added to its input and normalised after that.

Departures: no pooler, whose output neither XMC-GAN nor sentence encoders read; no dropout, in
fine-tuning either; only the first type, that of single sentences, is used.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Dtype
from t2i_jax.types import Text

# By the names of config.json's hidden_act. BERT's own is the exact GELU, by the error function.
ACTIVATIONS = {
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "relu": nn.relu,
}
POOLINGS = ("", "mean", "first", "released")
_INIT = nn.initializers.normal(0.02)


def self_attention(
    x: jax.Array,
    heads: int,
    dense: Callable[[int, str], nn.Module],
    mask: jax.Array | None = None,
    causal: bool = False,
) -> jax.Array:
    """[B, T, E] -> [B, T, E], by four layers that `dense` makes from width and name.

    mask: [B, T], True where there is something to attend to; None: everywhere. causal: whether a
        place attends to itself and what is before it alone.
    """
    rows, length, width = x.shape
    query, key, value = (
        dense(width, name)(x).reshape(rows, length, heads, -1) for name in ("query", "key", "value")
    )
    allowed = None if mask is None else mask[:, None, None, :]
    read = jax.nn.dot_product_attention(query, key, value, mask=allowed, is_causal=causal)
    return dense(width, "out")(read.reshape(x.shape))


class Layer(nn.Module):
    """[B, T, E] -> [B, T, E]: self-attention, then two dense layers. Fields as in `TextEncoder`."""

    heads: int
    inner: int
    activation: str
    epsilon: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """mask: [B, T], True where there is something to attend to."""

        def dense(features: int, name: str) -> nn.Dense:
            return nn.Dense(features, dtype=self.dtype, kernel_init=_INIT, name=name)

        read = self_attention(x, self.heads, dense, mask)
        x = norm(self.epsilon, self.dtype, "attention_norm")(x + read)
        inner = ACTIVATIONS[self.activation](dense(self.inner, "inner")(x))
        outer = dense(x.shape[-1], "outer")(inner)
        return norm(self.epsilon, self.dtype, "norm")(x + outer)


class TextEncoder(nn.Module):
    """Word pieces [N, T] -> ``Text(sentence=[N, width], words=[N, T, width], mask=[N, T])``.

    Words are the last layer's vectors, 0 at masked positions; [CLS] and [SEP] are words too.

    vocab_size: number of ids; 0, the default, is refused: it is the tokenizer's.
    width, layers, heads, inner: BERT-Base's are the defaults; MiniLM has 384, 6, 12, 1536.
    positions: the longest captions that it can read, in ids.
    types: rows of the table of types; the first is used.
    activation, epsilon: between the dense layers, and of the layer norms.
    pooling: what the sentence vector is. "mean": of the words; "first": [CLS]; "released": the sum
        over all T positions, padding included, divided by the number of words, as in XMC-GAN's
        release. "", the default, is what a published folder says of itself, else the mean.
    """

    tokenizer: ClassVar[str] = "wordpiece"

    vocab_size: int = 0
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    positions: int = 512
    types: int = 2
    activation: str = "gelu"
    epsilon: float = 1e-12
    pooling: Literal["", "mean", "first", "released"] = ""
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array | None = None) -> Text:
        """`tokens` integer ids below `vocab_size`; `mask` bool, True on real pieces, or None: then
        every id but 0, which is [PAD].

        Raises ValueError for fields that cannot be, and for rows longer than `positions`.
        """
        chex.assert_rank(tokens, 2)
        self._check(tokens.shape[1])
        mask = tokens != 0 if mask is None else mask
        chex.assert_equal_shape([tokens, mask])

        def table(name: str, rows: int) -> jax.Array:
            return self.param(name, _INIT, (rows, self.width))

        words = table("words", self.vocab_size)
        positions = table("positions", self.positions)
        types = table("types", self.types)
        x = jnp.take(words, tokens, axis=0) + positions[: tokens.shape[1]] + types[0]
        x = norm(self.epsilon, self.dtype, "embedding_norm")(x)
        for i in range(1, self.layers + 1):
            fields = (self.heads, self.inner, self.activation, self.epsilon, self.dtype)
            x = Layer(*fields, name=f"layer{i}")(x, mask)
        x = x.astype(jnp.float32)
        words = jnp.where(mask[..., None], x, 0.0)
        return Text(self._sentence(x, words, mask), words, mask)

    def _sentence(self, states: jax.Array, words: jax.Array, mask: jax.Array) -> jax.Array:
        if self.pooling == "first":
            return states[:, 0]
        summed = jnp.sum(states if self.pooling == "released" else words, axis=1)
        return summed / jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1)

    def _check(self, length: int) -> None:
        if self.vocab_size <= 0:
            raise ValueError(
                "vocab_size must be the number of ids of the tokenizer whose captions are encoded, "
                f"not {self.vocab_size}"
            )
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is no multiple of heads={self.heads}")
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("pooling", self.pooling, POOLINGS)
        if length > self.positions:
            raise ValueError(
                f"captions are {length} ids long, but this encoder has {self.positions} positions: "
                f"set tokenizer.length to {self.positions} or less"
            )


def norm(epsilon: float, dtype: Dtype, name: str) -> nn.LayerNorm:
    """A layer norm that takes the variance of what is centred, as PyTorch does."""
    return nn.LayerNorm(epsilon, dtype=dtype, use_fast_variance=False, name=name)
