"""The Semantic Disentangling Module of DR-GAN, for any stage that refines a feature map.

Tan et al., "DR-GAN: Distribution Regularization for Text-to-Image Generation" (arXiv 2204.07945):
masks split the features of the image, and those of its word context, into key features, which go on
to make the image, and the rest. Real images are encoded beside them (RIRM, the real image
reconstruction module): a loss pulls the distribution of the key features towards theirs and pushes
the rest away, see `t2i_jax.losses.distributions`. What decodes them again is the image head of the
stage before.
"""

from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.models.gated_stages import ORTHOGONAL
from t2i_jax.models.layers import BatchNorm, Conv, ConvNorm, Dtype, leaky_relu

FORMS = ("paper", "released")


class Parts(NamedTuple):
    """What is compared: (key, rest) of the image and of its context, and the real image's own.

    Maps [B, H, W, C] as features, vectors [B, C] as codes. context: None for a stage without one.
    """

    image: tuple[jax.Array, jax.Array]
    context: tuple[jax.Array, jax.Array] | None
    real: jax.Array


class Disentangled(NamedTuple):
    """What the losses of one stage need.

    features: maps.
    codes: vectors that the released form compares instead of the maps; None in the paper's form.
    reconstruction: the real image [B, H, W, 3] from its features, filled in by the generator.
    """

    features: Parts
    codes: Parts | None = None
    reconstruction: jax.Array | None = None


class SemanticDisentangling(nn.Module):
    """Key features of a stage, and what its losses need where real images are given.

    form: "paper": one mask for all channels, without batch norm, whose logits are not scaled.
        "released": a mask for every channel, with batch norm, and the network of the `codes`.
    mask_scale: factor of the mask's logits in the released form. 0: 1 / batch size, as in the
        authors' sources, so that the masks depend on the batch; their compiled files have 1 / 64.
    axis_name: mapped axis over which batch norm reduces and the batch is split.
    """

    form: str = "paper"
    mask_scale: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        context: jax.Array | None,
        real: jax.Array | None,
        train: bool,
    ) -> tuple[jax.Array, jax.Array | None, Disentangled | None]:
        """(key features of the image, those of the context, what the losses need).

        image, context: [B, H, W, C]; context None for a stage without words.
        real: real images [B, H, W, 3] of the stage's input size, or None: no losses.

        Raises ValueError for an unknown form.
        """
        check_choice("sdm_form", self.form, FORMS)
        halves = {"context": context, "image": image}
        split = {}
        for name, features in halves.items():
            if features is not None:
                chex.assert_equal_shape([features, image])
                key = features * self._mask(features, f"{name}_mask", train)
                split[name] = (key, features - key)
        key_context = split["context"][0] if context is not None else None
        if real is None:
            return split["image"][0], key_context, None
        chex.assert_shape(real, (*image.shape[:3], 3))
        parts = Parts(split["image"], split.get("context"), self._encode(real, image, train))
        codes = self._codes(parts, train) if self.form == "released" else None
        return split["image"][0], key_context, Disentangled(parts, codes)

    def _norm(self) -> dict:
        return dict(dtype=self.dtype, axis_name=self.axis_name)

    def _mask(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        width = x.shape[-1]
        if self.form == "paper":
            conv = dict(use_bias=True, kernel_init=ORTHOGONAL, dtype=self.dtype)
            x = nn.relu(Conv(width, name=f"{name}1", **conv)(x))
            x = Conv(1, kernel=1, padding=0, name=f"{name}2", **conv)(x)
            return nn.sigmoid(x)
        norm = dict(kernel_init=ORTHOGONAL, **self._norm())
        rows = x.shape[0] * axis.size(self.axis_name)
        x = leaky_relu(ConvNorm(width, name=f"{name}1", **norm)(x, train))
        x = ConvNorm(width, kernel=1, padding=0, name=f"{name}2", **norm)(x, train)
        return nn.sigmoid(x * (self.mask_scale or 1.0 / rows))

    def _encode(self, real: jax.Array, like: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, 3] -> [B, H, W, C]: 2x2 convolutions, the first of which adds a row."""
        conv = dict(kernel=2, kernel_init=ORTHOGONAL, **self._norm())
        width = like.shape[-1]
        x = ConvNorm(max(1, width // 2), padding=1, name="real1", **conv)(real, train)
        return ConvNorm(width, padding=0, name="real2", **conv)(leaky_relu(x), train)

    def _codes(self, parts: Parts, train: bool) -> Parts:
        """The mean of each map through a linear layer, batch norm and ReLU. One pass a map, in the
        release's order, which its running statistics follow.
        """
        width = parts.real.shape[-1]
        linear = nn.Dense(width, kernel_init=ORTHOGONAL, dtype=self.dtype, name="code")
        norm = BatchNorm(name="code_bn", **self._norm())

        def code(x: jax.Array) -> jax.Array:
            return nn.relu(norm(linear(jnp.mean(x, axis=(1, 2))), train))

        context = tuple(map(code, parts.context)) if parts.context else None
        return Parts(tuple(map(code, parts.image)), context, code(parts.real))
