"""The character-level CNN-RNN text encoder of Reed et al., "Learning Deep Representations of
Fine-grained Visual Descriptions" (CVPR 2016, arXiv 1605.05395), in both published forms.

A caption is 201 character ids in 1..70, 0 meaning "no character". Three convolutions over time, a
recurrent net over the 8 or 18 positions that are left, the mean of its states, a linear layer.
There is no masking: the padding after a caption takes part in the mean, as in the authors' models.

Departures from the authors' code: the mean can be replaced by the last state in the ReLU form too
(there, the option is ignored), and dropout acts only where a ``dropout`` key is given.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Dtype, uniform_init
from t2i_jax.types import Text

ALPHABET = 70  # character ids 1..70
LENGTH = 201  # characters that the published models read
KERNEL = 4
THRESHOLD = 1e-6  # Torch7's nn.Threshold default: x if x > 1e-6 else 0


def threshold(x: jax.Array) -> jax.Array:
    """x where x > 1e-6, else 0."""
    return jnp.where(x > THRESHOLD, x, jnp.zeros((), x.dtype))


def max_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Max over time without padding, [N, T, C] -> [N, (T - window) // stride + 1, C]."""
    steps = (x.shape[1] - window) // stride + 1
    last = stride * (steps - 1) + 1
    pooled = x[:, :last:stride]
    for i in range(1, window):
        pooled = jnp.maximum(pooled, x[:, i : i + last : stride])
    return pooled


class ReluRecurrence(nn.Module):
    """``h_1 = relu(W_i x_1 + b_i)``, ``h_t = relu(W_i x_t + b_i + W_h h_(t-1) + b_h)``.

    The first step has no ``b_h``, so this is not a stock RNN started at zero.
    """

    initializer: Callable
    bias_initializer: Callable
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, S, C] -> all states, [N, S, C]."""
        width = x.shape[-1]
        inits = self.initializer, self.bias_initializer
        given = _linear(width, *inits, self.dtype, "i2h")(x)
        h2h = _linear(width, *inits, self.dtype, "h2h")
        states = [nn.relu(given[:, 0])]
        for t in range(1, x.shape[1]):
            states.append(nn.relu(given[:, t] + h2h(states[-1])))
        return jnp.stack(states, axis=1)


class PublishedGru(nn.Module):
    """The release's gated recurrence.

    It differs from the stock GRU in three ways: the reset gate multiplies the state before the
    matrix, the update gate weighs the candidate rather than the old state, and the first state is
    ``tanh(W x_1 + b)``, without gates or hidden bias.
    """

    initializer: Callable
    bias_initializer: Callable
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, S, C] -> all states, [N, S, C]."""

        def linear(name):
            inits = self.initializer, self.bias_initializer
            return _linear(x.shape[-1], *inits, self.dtype, name)

        update, reset, candidate = (linear(name)(x) for name in ("i2h_update", "i2h_reset", "i2h"))
        h2h_update, h2h_reset, h2h = linear("h2h_update"), linear("h2h_reset"), linear("h2h")
        states = [nn.tanh(candidate[:, 0])]
        for t in range(1, x.shape[1]):
            h = states[-1]
            z = nn.sigmoid(update[:, t] + h2h_update(h))
            r = nn.sigmoid(reset[:, t] + h2h_reset(h))
            n = nn.tanh(candidate[:, t] + h2h(r * h))
            states.append(z * n + (1 - z) * h)
        return jnp.stack(states, axis=1)


def _linear(
    features: int, init: Callable, bias_init: Callable, dtype: Dtype, name: str
) -> nn.Dense:
    return nn.Dense(features, dtype=dtype, kernel_init=init, bias_init=bias_init, name=name)


class _Inits(NamedTuple):
    """Initializers of the first convolution, the others, the linear layers, and their biases."""

    first: Callable
    conv: Callable
    conv_bias: Callable
    linear: Callable
    linear_bias: Callable


def _uniform(width: int) -> _Inits:
    return _Inits(*[uniform_init(0.08)] * 5)


def _coco(width: int) -> _Inits:
    normal, zeros = nn.initializers.normal(0.02), nn.initializers.zeros_init()
    # Every linear layer reads `width` channels.
    linear = uniform_init(width**-0.5)
    return _Inits(normal, normal, zeros, linear, linear)


def _fan_in(width: int) -> _Inits:
    zeros = nn.initializers.zeros_init()
    # Of a character's 70 inputs to the first convolution one is 1, the others are 0.
    first = nn.initializers.normal(KERNEL**-0.5)
    return _Inits(first, nn.initializers.he_normal(), zeros, nn.initializers.lecun_normal(), zeros)


_INITS = {"uniform": _uniform, "coco": _coco, "fan_in": _fan_in}


class TextEncoder(nn.Module):
    """Character ids [N, T] -> one vector a caption, ``Text(sentence=[N, embedding])``.

    recurrent: ``"rnn8"`` (a fourth pooling, then ReLU recurrence over 8 positions; CVPR 2016 with
        width 256, ICML 2016 flowers with 512) or ``"gru18"`` (ICML 2016 birds and COCO, width 512).
    conv_widths: channels of the first two convolutions.
    width: channels of the third convolution and of the recurrent net.
    embedding: size of the sentence vector.
    average: mean of all states (every published model) or the last one.
    dropout: rate before the last layer; active only where `apply` is given a ``dropout`` key.
    init_scheme: ``"uniform"``: every parameter U(-0.08, 0.08), the birds and flowers models;
        ``"coco"``: convolutions N(0, 0.02^2) with bias 0, linear layers U(+-1/sqrt(fan_in));
        ``"fan_in"``, of no published model: every layer hands on about the variance that it is
        given, whatever its width, with bias 0. Narrow nets learn several times faster from it.
    axis_name: as in `t2i_jax.axis`; used by dropout alone.
    """

    tokenizer: ClassVar[str] = "char"

    recurrent: Literal["rnn8", "gru18"] = "rnn8"
    conv_widths: tuple[int, int] = (384, 512)
    width: int = 256
    embedding: int = 1024
    average: bool = True
    dropout: float = 0.0
    init_scheme: Literal["uniform", "coco", "fan_in"] = "uniform"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array | None = None) -> Text:
        """`tokens` [N, T] integer ids, 0 = no character; `mask` is not used.

        Raises ValueError for an unknown option, or where T is too short to leave one position;
        AssertionError where the tokens are no integers, or the mask has another shape.
        """
        self._check(tokens)
        chex.assert_type(tokens, int)
        if mask is not None:
            chex.assert_equal_shape([tokens, mask])
        inits = _INITS[self.init_scheme](self.width)

        def conv(features: int, name: str) -> nn.Conv:
            return nn.Conv(
                features,
                (KERNEL,),
                padding="VALID",
                dtype=self.dtype,
                kernel_init=inits.first if name == "conv1" else inits.conv,
                bias_init=inits.conv_bias,
                name=name,
            )

        # A gather of table rows gives the same sums; with its scattered gradient it is no faster
        # on a CPU, and slow and unordered on a GPU. Id 0 is none of them: an all-zero row.
        x = (tokens[..., None] == jnp.arange(1, ALPHABET + 1)).astype(self.dtype)
        # Pooling before the threshold is the same, on a third of the values.
        x = threshold(max_pool(conv(self.conv_widths[0], "conv1")(x), 3, 3))
        self.sow("intermediates", "pool1", x)
        x = threshold(max_pool(conv(self.conv_widths[1], "conv2")(x), 3, 3))
        self.sow("intermediates", "pool2", x)
        x = threshold(conv(self.width, "conv3")(x))
        self.sow("intermediates", "features", x)
        if self.recurrent == "rnn8":
            hidden = ReluRecurrence(inits.linear, inits.linear_bias, self.dtype, name="rnn")(
                max_pool(x, 3, 2)
            )
        else:
            hidden = PublishedGru(inits.linear, inits.linear_bias, self.dtype, name="rnn")(x)
        self.sow("intermediates", "hidden", hidden)
        state = jnp.mean(hidden, axis=1) if self.average else hidden[:, -1]
        self.sow("intermediates", "state", state)
        state = self._drop(state)
        sentence = _linear(self.embedding, inits.linear, inits.linear_bias, self.dtype, "proj")(
            state
        )
        return Text(sentence=sentence.astype(jnp.float32))

    def _check(self, tokens: jax.Array) -> None:
        check_choice("recurrent", self.recurrent, ("rnn8", "gru18"))
        check_choice("init_scheme", self.init_scheme, _INITS)
        # What leaves two recurrent steps, the fewest that use every parameter.
        shortest = 84 if self.recurrent == "rnn8" else 57
        if tokens.ndim != 2 or tokens.shape[1] < shortest:
            raise ValueError(
                f"tokens must be [N, T] with T >= {shortest} for {self.recurrent} (the published "
                f"length is {LENGTH}), not {tokens.shape}"
            )

    def _drop(self, x: jax.Array) -> jax.Array:
        """Dropout whose mask is drawn for the global batch."""
        if self.dropout == 0.0 or not self.has_rng("dropout"):
            return x
        keep = 1.0 - self.dropout
        draw = axis.uniform(self.make_rng("dropout"), x.shape, self.axis_name)
        return jnp.where(draw < keep, x / keep, jnp.zeros((), x.dtype))
