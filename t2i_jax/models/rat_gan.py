"""Networks of RAT-GAN: affine layers that a recurrent cell steers, a discriminator that attends.

Ye et al., "Recurrent Affine Transformation for Text-to-image Synthesis" (arXiv 2204.10482), with
the layers of the authors' release. The paper's discriminator (spatial attention with a soft
threshold) is the default; the release's softmax of a sigmoid and its plain head are by field.

The authors make the cell's first state with one linear layer where the paper says perceptron; so
does this file.
"""

from collections.abc import Mapping
from typing import Literal

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.choices import check_choice
from t2i_jax.models.affine_blocks import (
    Decoder,
    DownBlock,
    ImageTrunk,
    Verdict,
    conv,
    dense,
    joined,
    widths,
)
from t2i_jax.models.layers import Dtype, check_noise, leaky_relu, uniform_init
from t2i_jax.models.one_image import OneImageDiscriminator
from t2i_jax.models.one_noise import OneNoiseGenerator

ATTENTIONS = ("soft_threshold", "softmax", "none")
_WIDEST = 16


class Controller(nn.Module):
    """The recurrent cell (section 3.2): an LSTM that starts from the noise and reads the sentence
    at every step.

    Its states depend on no image, so all steps run before the first map is made; what the sentence
    adds to the gates is the same at every step and computed once.

    features: width of the hidden and of the cell state.
    """

    features: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, z: jax.Array, sentence: jax.Array, steps: int
    ) -> tuple[jax.Array, jax.Array]:
        """[B, Z] and [B, E] -> hidden states after each step [steps, B, F], last cell state."""
        init, gates = uniform_init(self.features**-0.5), 4 * self.features
        h = dense(z, self.features, "first_hidden", self.dtype).astype(jnp.float32)
        c = dense(z, self.features, "first_cell", self.dtype).astype(jnp.float32)
        of_sentence = self.param("sentence", init, (sentence.shape[-1], gates), jnp.float32)
        of_hidden = self.param("hidden", init, (self.features, gates), jnp.float32)
        bias = self.param("bias", init, (gates,), jnp.float32)
        constant = sentence.astype(self.dtype) @ of_sentence.astype(self.dtype) + bias
        of_hidden = of_hidden.astype(self.dtype)

        def step(state, _):
            h, c = state
            product = (h.astype(self.dtype) @ of_hidden + constant).astype(jnp.float32)
            keep_in, forget, update, out = jnp.split(product, 4, axis=-1)
            c = nn.sigmoid(forget) * c + nn.sigmoid(keep_in) * jnp.tanh(update)
            h = nn.sigmoid(out) * jnp.tanh(c)
            return (h, c), h

        (_, c), states = lax.scan(step, (h, c), None, length=steps)
        return states, c


class Generator(OneNoiseGenerator):
    """Noise and a sentence to an image.

    channels: channel base (``nf``).
    image_size: side of the image, a power of two >= 8; 256 is published.
    noise_dim: width of the noise z.
    state_dim: width of the cell's states and of the affine layers' perceptrons.
    affines: affine layers of a block, an even number: 4 for CUB and COCO, 6 for Oxford-102.
    recurrent: False: every affine layer sees the sentence itself, which is DF-GAN of 2020.
    remat: the backward pass computes each block anew instead of keeping its maps: less memory for
        one more forward pass, the same numbers.
    """

    channels: int = 64
    image_size: int = 256
    noise_dim: int = 100
    state_dim: int = 256
    affines: int = 4
    recurrent: bool = True
    remat: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, noise: Mapping[str, jax.Array], sentence: jax.Array, train: bool
    ) -> tuple[jax.Array, ...]:
        """noise: rows of `noise_shapes`; sentence: [B, E] -> one image [B, S, S, 3] in [-1, 1].

        `train` changes nothing: no layer has a mode. Raises ValueError for impossible fields.
        """
        z = noise["z"]
        chex.assert_rank(sentence, 2)
        check_noise(noise, self.noise_shapes, sentence.shape[0])
        decoder = Decoder(
            self.channels,
            self.image_size,
            self.affines,
            hidden=self.state_dim,
            remat=self.remat,
            dtype=self.dtype,
            name="decoder",
        )
        steps = decoder.blocks * self.affines
        if self.recurrent:
            controller = Controller(self.state_dim, self.dtype, name="controller")
            conditions, _ = controller(z, sentence, steps)
        else:
            conditions = jnp.broadcast_to(sentence, (steps, *sentence.shape))
        return (decoder(z, conditions),)


class AttentiveVerdict(nn.Module):
    """The paper's head (section 3.3): where in the image the sentence is looked for.

    features: of the 4x4 map. hidden: width of the layers before a logit.
    attention: how the weights of the positions come to the sum 1. "soft_threshold": sigmoids
        divided by their sum (paper, equation 8). "softmax": softmax of the sigmoids (release), in
        which no weight exceeds another more than e-fold.
    """

    features: int
    hidden: int
    attention: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, sentence: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, 8, 8, C] and [B, E] -> (logits [B], attention [B, 8, 8])."""
        h = leaky_relu(conv(joined(x, sentence), self.hidden, "attend1", self.dtype))
        score = conv(h, 1, "attend2", self.dtype, kernel=1, padding=0).astype(jnp.float32)
        # The softmax of a log-sigmoid is the sigmoid over its sum, without 0 / 0.
        squash = nn.log_sigmoid if self.attention == "soft_threshold" else nn.sigmoid
        weights = nn.softmax(squash(score), axis=(1, 2))
        looked_for = weights * sentence[:, None, None, :]
        x = jnp.concatenate([x, looked_for.astype(x.dtype)], axis=-1)
        x = DownBlock(self.features, self.dtype, name="block")(x)
        return Verdict(self.hidden, self.dtype, name="verdict")(x, sentence), weights[..., 0]


class Discriminator(OneImageDiscriminator):
    """Whether an image is real and fits its sentence.

    channels: channel base.
    image_size: side of the images, a power of two >= 8, with attention >= 16.
    attention: "soft_threshold" (paper) or "softmax" (release until 2023), see `AttentiveVerdict`;
        "none": the plain head, in the release since.
    two_way: a second head that judges the image alone.
    remat: as in `Generator`.
    """

    channels: int = 64
    image_size: int = 256
    attention: Literal["soft_threshold", "softmax", "none"] = "soft_threshold"
    two_way: bool = False
    remat: bool = False
    dtype: Dtype = jnp.float32

    def setup(self):
        check_choice("attention", self.attention, ATTENTIONS)
        attentive = self.attention != "none"
        if attentive and self.image_size < 16:
            raise ValueError(
                f"attention={self.attention!r} looks at an 8x8 map: image_size must be at least 16,"
                f" got {self.image_size}"
            )
        last = 8 if attentive else 4
        self.trunk = ImageTrunk(
            self.channels, self.image_size, _WIDEST, last, self.remat, self.dtype
        )
        hidden = 2 * self.channels
        if attentive:
            features = self.channels * widths(self.image_size, _WIDEST)[-1]
            self.fits = AttentiveVerdict(features, hidden, self.attention, self.dtype)
        else:
            self.fits = Verdict(hidden, self.dtype)
        super().setup()

    def judge(
        self, features: jax.Array, sentence: jax.Array | None, train: bool
    ) -> tuple[jax.Array | None, dict[str, jax.Array]]:
        """The base's, with "attention" [B, 8, 8], which sums to 1, where it attends."""
        logits, extras = super().judge(features, sentence, train)
        if sentence is not None and self.attention != "none":
            logits, extras["attention"] = logits
        return logits, extras
