"""Inception-v3 up to a block, under torchvision's names, as the image half of DAMSM looks at it.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (CVPR 2016). Average
pools count the padding, as torchvision's do, unless told otherwise.
"""

import torch
from torch import Tensor, nn

STEM = ((32, 3, 2), (32, (3, 3), 1, 0), (64, 3), "max", (80, 1), (192, (3, 3), 1, 0), "max")


def _a(pool: int) -> tuple:
    return ((64, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)), ("average", (pool, 1))


def _c(w: int) -> tuple:
    double = (w, 1), (w, (7, 1)), (w, (1, 7)), (w, (7, 1)), (192, (1, 7))
    return ((192, 1),), ((w, 1), (w, (1, 7)), (192, (7, 1))), double, ("average", (192, 1))


_FORK = (((384, (1, 3)),), ((384, (3, 1)),))  # two convolutions of one map, side by side
_E = (
    ((320, 1),),
    ((384, 1), _FORK),
    ((448, 1), (384, 3), _FORK),
    ("average", (192, 1)),
)
BLOCKS = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": (((384, 3, 2),), ((64, 1), (96, 3), (96, 3, 2)), ("max",)),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": (
        ((192, 1), (320, 3, 2)),
        ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
        ("max",),
    ),
    "Mixed_7b": _E,
    "Mixed_7c": _E,
}


class Side(nn.Module):
    """Branches of one map, joined over channels."""

    def __init__(self, inputs: int, branches: tuple, counts_padding: bool):
        super().__init__()
        self.branches = nn.ModuleList()
        self.width = 0
        for steps in branches:
            branch, width = chain(inputs, steps, counts_padding)
            self.branches.append(branch)
            self.width += width

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def chain(inputs: int, steps: tuple, counts_padding: bool) -> tuple[nn.Sequential, int]:
    """(the layers of a branch, its width)."""
    layers: list[nn.Module] = []
    for step in steps:
        if step == "max":
            layers.append(nn.MaxPool2d(3, 2))
        elif step == "average":
            layers.append(nn.AvgPool2d(3, 1, 1, count_include_pad=counts_padding))
        elif isinstance(step[0], tuple):
            fork = Side(inputs, step, counts_padding)
            layers.append(fork)
            inputs = fork.width
        else:
            layers.append(unit(inputs, *step))
            inputs = step[0]
    return nn.Sequential(*layers), inputs


def unit(inputs: int, outputs: int, kernel, stride: int = 1, padding=None) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the side is kept where the stride is 1."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding is None:
        padding = tuple(k // 2 for k in sides) if stride == 1 else 0
    conv = nn.Conv2d(inputs, outputs, sides, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU(inplace=True))


class InceptionV3(nn.Module):
    """Images [B, 3, S, S] in [-1, 1] -> the outputs of its blocks by name, up to `last`."""

    def __init__(self, last: str = "Mixed_7c", counts_padding: bool = True):
        super().__init__()
        self.stem, width = chain(3, STEM, counts_padding)
        self.blocks = nn.ModuleDict()
        for name, branches in BLOCKS.items():
            self.blocks[name] = block = Side(width, branches, counts_padding)
            width = block.width
            if name == last:
                break

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x, outputs = self.stem(x), {}
        for name, block in self.blocks.items():
            outputs[name] = x = block(x)
        return outputs
