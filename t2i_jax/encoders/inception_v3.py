"""Inception-v3, Szegedy et al., "Rethinking the Inception Architecture for Computer Vision"
(CVPR 2016, arXiv 1512.00567), without its classifier (`t2i_jax.encoders.inception_classifier`).

Layers have torchvision's names. The publishers differ in two things that a network's weights depend
on: torchvision's average pools count the zero padding, all others' leave it out; and the graph of
2015, the network of the Fréchet Inception distance, has a maximum in its last block in place of the
average. Keras' and TF-slim's batch norms have no scale, which is a scale of 1.
"""

from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.encoders import pools
from t2i_jax.models.layers import BatchNorm, Conv, Dtype

SMALLEST_SIDE = 75  # of an image that leaves one position at the end
EPSILON = 1e-3


class Unit(NamedTuple):
    """Convolution without bias, batch norm, ReLU. Kernel sizes are (height, width)."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True  # symmetrically, to keep H and W; only where the stride is 1


# A branch is a chain of units and pools; a tuple of units within it reads the same input and is
# concatenated over channels. A block concatenates its branches.
Branch = tuple["Unit | str | tuple[Unit, ...]", ...]
Block = tuple[Branch, ...]


def _block_a(pool_features: int) -> Block:
    return (
        (Unit("branch1x1", 64),),
        (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5))),
        (
            Unit("branch3x3dbl_1", 64),
            Unit("branch3x3dbl_2", 96, (3, 3)),
            Unit("branch3x3dbl_3", 96, (3, 3)),
        ),
        ("average", Unit("branch_pool", pool_features)),
    )


_BLOCK_B: Block = (
    (Unit("branch3x3", 384, (3, 3), stride=2),),
    (
        Unit("branch3x3dbl_1", 64),
        Unit("branch3x3dbl_2", 96, (3, 3)),
        Unit("branch3x3dbl_3", 96, (3, 3), stride=2),
    ),
    ("max",),
)


def _block_c(width: int) -> Block:
    return (
        (Unit("branch1x1", 192),),
        (
            Unit("branch7x7_1", width),
            Unit("branch7x7_2", width, (1, 7)),
            Unit("branch7x7_3", 192, (7, 1)),
        ),
        (
            Unit("branch7x7dbl_1", width),
            Unit("branch7x7dbl_2", width, (7, 1)),
            Unit("branch7x7dbl_3", width, (1, 7)),
            Unit("branch7x7dbl_4", width, (7, 1)),
            Unit("branch7x7dbl_5", 192, (1, 7)),
        ),
        ("average", Unit("branch_pool", 192)),
    )


_BLOCK_D: Block = (
    (Unit("branch3x3_1", 192), Unit("branch3x3_2", 320, (3, 3), stride=2)),
    (
        Unit("branch7x7x3_1", 192),
        Unit("branch7x7x3_2", 192, (1, 7)),
        Unit("branch7x7x3_3", 192, (7, 1)),
        Unit("branch7x7x3_4", 192, (3, 3), stride=2),
    ),
    ("max",),
)


def _block_e(pool: str) -> Block:
    return (
        (Unit("branch1x1", 320),),
        (
            Unit("branch3x3_1", 384),
            (Unit("branch3x3_2a", 384, (1, 3)), Unit("branch3x3_2b", 384, (3, 1))),
        ),
        (
            Unit("branch3x3dbl_1", 448),
            Unit("branch3x3dbl_2", 384, (3, 3)),
            (Unit("branch3x3dbl_3a", 384, (1, 3)), Unit("branch3x3dbl_3b", 384, (3, 1))),
        ),
        (pool, Unit("branch_pool", 192)),
    )


STEM: dict[str, Branch] = {  # by the names of their pools in TF-slim
    "pool1": (
        Unit("Conv2d_1a_3x3", 32, (3, 3), stride=2),
        Unit("Conv2d_2a_3x3", 32, (3, 3), padded=False),
        Unit("Conv2d_2b_3x3", 64, (3, 3)),
        "max",
    ),
    "pool2": (
        Unit("Conv2d_3b_1x1", 80),
        Unit("Conv2d_4a_3x3", 192, (3, 3), padded=False),
        "max",
    ),
}
BLOCKS: dict[str, Block] = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": _BLOCK_B,
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": _BLOCK_D,
    "Mixed_7b": _block_e("average"),
    "Mixed_7c": _block_e("average"),
}
_LAST_OF_2015 = _block_e("max_same")
KERAS_NAMES = {f"mixed{i}": name for i, name in enumerate(BLOCKS)}  # Keras' name of each block


def torchvision_name(layer: str) -> str:
    """The block's name in torchvision, given that or the one in Keras.

    Raises ValueError for any other name.
    """
    name = KERAS_NAMES.get(layer, layer)
    if name not in BLOCKS:
        raise ValueError(
            f"Inception-v3 has no block {layer!r}; its blocks are {', '.join(BLOCKS)} "
            f"(Keras: mixed0 to mixed{len(BLOCKS) - 1})"
        )
    return name


def unit_names(last: str = "Mixed_7c") -> list[str]:
    """Names such as ``"Mixed_5b.branch1x1"`` of all units up to that block, in the order in which
    both publishers create them.
    """
    stem = (step for branch in STEM.values() for step in branch)
    names = [unit.name for unit in stem if isinstance(unit, Unit)]
    for block, branches in BLOCKS.items():
        for branch in branches:
            for step in branch:
                if isinstance(step, Unit):
                    names.append(f"{block}.{step.name}")
                elif not isinstance(step, str):
                    names += [f"{block}.{unit.name}" for unit in step]
        if block == torchvision_name(last):
            break
    return names


def average_pool(x: jax.Array, counts_padding: bool) -> jax.Array:
    """3x3 averages with stride 1 that keep H and W: of all 9 cells, of which those outside are 0,
    or of the cells that are inside.
    """
    total = pools.sums(x)
    if counts_padding:
        return total / 9
    height, width = (np.full(side, 3.0, np.float32) for side in x.shape[1:3])
    for inside in height, width:
        inside[0] -= 1
        inside[-1] -= 1
    return total / jnp.asarray(height[:, None, None] * width[:, None], x.dtype)


class ConvUnit(nn.Module):
    """One `Unit`; its parts are named ``conv`` and ``bn``, as in torchvision."""

    unit: Unit
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        unit = self.unit
        init = nn.initializers.he_normal()
        if not unit.padded:  # 3x3
            layer = Conv(unit.features, padding=0, dtype=self.dtype, kernel_init=init, name="conv")
        else:
            padding = [(k // 2, k // 2) for k in unit.kernel] if unit.stride == 1 else "VALID"
            layer = nn.Conv(
                unit.features,
                unit.kernel,
                unit.stride,
                padding=padding,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=init,
                name="conv",
            )
        x = layer(x)
        norm = BatchNorm(
            epsilon=EPSILON,
            axis_name=self.axis_name,
            dtype=self.dtype,
            scale_init=nn.initializers.ones_init(),
            name="bn",
        )
        return nn.relu(norm(x, train))


class _Part(nn.Module):
    """What the network and its blocks share: running a chain of units within themselves."""

    pool_counts_padding: bool = True
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def chain(self, x: jax.Array, branch: Branch, train: bool) -> jax.Array:
        def run(unit: Unit) -> jax.Array:
            return ConvUnit(unit, self.dtype, self.axis_name, name=unit.name)(x, train)

        for step in branch:
            if step == "max":
                x = pools.halving_maximum(x)
            elif step == "max_same":
                x = nn.max_pool(x, (3, 3), (1, 1), "SAME")
            elif step == "average":
                x = average_pool(x, self.pool_counts_padding)
            elif isinstance(step, Unit):
                x = run(step)
            else:
                x = jnp.concatenate([run(unit) for unit in step], axis=-1)
        return x


class MixedBlock(_Part):
    """The branches of one block, concatenated over channels."""

    branches: Block = ()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        return jnp.concatenate([self.chain(x, b, train) for b in self.branches], axis=-1)


class InceptionV3(_Part):
    """Images [B, H, W, 3] in [-1, 1] -> the outputs of its blocks by name, [B, h, w, C] float32,
    and those of the two pools before them, ``"pool1"`` and ``"pool2"``.

    299x299 is the size that it was trained at, where ``Mixed_6e`` is [B, 17, 17, 768] and
    ``Mixed_7c`` is [B, 8, 8, 2048]. Every block has its name in torchvision and its name in Keras:
    ``"Mixed_6c"`` and ``"mixed5"`` are one array.

    pool_counts_padding: whether average pools divide by 9 everywhere (torchvision) or by the number
        of cells inside (Keras).
    axis_name: of the batch statistics, see `t2i_jax.axis`.
    last: the last block that is computed and has parameters, under either name.
    max_pool_last: whether ``Mixed_7c`` has a maximum in place of the average, as in 2015.
    """

    last: str = "Mixed_7c"
    max_pool_last: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """Raises ValueError where the images are smaller than 75x75 or `last` is no block."""
        chex.assert_shape(images, (None, None, None, 3))
        if min(images.shape[1:3]) < SMALLEST_SIDE:
            raise ValueError(
                f"Inception-v3 needs images of {SMALLEST_SIDE}x{SMALLEST_SIDE} at least (299x299 "
                f"with published weights), not {images.shape[1:3]}"
            )
        x, outputs = images.astype(self.dtype), {}
        for name, branch in STEM.items():
            x = self.chain(x, branch, train)
            outputs[name] = x.astype(jnp.float32)
        blocks = {**BLOCKS, "Mixed_7c": _LAST_OF_2015} if self.max_pool_last else BLOCKS
        for keras_name, name in KERAS_NAMES.items():
            block = MixedBlock(
                self.pool_counts_padding, self.dtype, self.axis_name, blocks[name], name=name
            )
            x = block(x, train)
            outputs[name] = outputs[keras_name] = x.astype(jnp.float32)
            if name == torchvision_name(self.last):
                break
        return outputs


def resize_bilinear(images: jax.Array, size: int) -> jax.Array:
    """[B, H, W, C] -> [B, size, size, C] by linear interpolation between pixels whose corners are
    aligned (PyTorch's ``align_corners=True``), without low-pass filter.
    """
    if images.shape[1:3] == (size, size):
        return images

    def weights(side: int) -> np.ndarray:  # [size, side], two entries a row
        positions = np.linspace(0.0, side - 1.0, size)
        distance = np.abs(positions[:, None] - np.arange(side))
        return np.maximum(0.0, 1.0 - distance).astype(np.float32)

    height, width = images.shape[1:3]
    return jnp.einsum(
        "yh,xw,bhwc->byxc",
        weights(height),
        weights(width),
        images,
        precision=jax.lax.Precision.HIGHEST,
    )
