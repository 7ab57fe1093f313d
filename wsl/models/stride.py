"""Finer feature maps with the same weights: a stride becomes a dilation of everything after it ("a trous").

Removing a stride s and spreading the taps of all later kernels by s leaves the values at every s-th position as
they were and fills in the positions between (Chen et al., DeepLab, 2016, section 3.1). No parameter changes its
name or shape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsl.errors import ConfigError

STRIDES = (8, 16, 32)
SHORTCUT = "downsample"  # the 1x1 convolution beside a residual block, in torchvision's and timm's naming


def check_stride(name: str, output_stride: int, allowed: tuple[int, ...] = STRIDES) -> None:
    """Raises ConfigError unless `output_stride` is one that the architecture can have."""
    if output_stride not in allowed:
        works = " or ".join(str(stride) for stride in allowed)
        raise ConfigError(f"output_stride: {name} works at {works}, but got {output_stride}.")


def set_output_stride(net: nn.Module, output_stride: int) -> None:
    """Turns the last strides of `net` into dilations, in place, until one output pixel covers `output_stride`.

    The modules of `net` must be registered in the order in which they run; a residual shortcut (named
    'downsample') follows the decision of its block. Only convolutions lose their stride: the pooling layers of
    the networks that come here lie before stride 8.
    """
    total, dilation, removed = 1, 1, False
    for name, module in net.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            continue
        stride = _first(module.stride)
        if SHORTCUT in name.split("."):
            if removed and isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
            continue
        if stride > 1:
            removed = total * stride > output_stride
        if isinstance(module, nn.Conv2d):
            dilate(module, dilation)
        if stride > 1 and removed:
            module.stride = (1, 1)
            dilation *= stride
        elif stride > 1:
            total *= stride


def dilate(conv: nn.Conv2d, dilation: int) -> None:
    """Spreads the taps of `conv` by `dilation`, in place; the padding grows so that the output keeps its size."""
    conv.dilation = (conv.dilation[0] * dilation, conv.dilation[1] * dilation)
    padding = conv.padding
    if isinstance(padding, tuple):
        conv.padding = (padding[0] * dilation, padding[1] * dilation)


class DilatedAvgPool(nn.Module):
    """Mean of the 2x2 taps that lie `dilation` apart, at stride 1; the border is repeated.

    At every 2*dilation-th position it equals the 2x2, stride-2 pooling that it stands for.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        d = self.dilation
        padded = functional.pad(x, (0, d, 0, d), mode="replicate")
        rows = padded[:, :, :-d] + padded[:, :, d:]
        return torch.mul(rows[..., :-d] + rows[..., d:], 0.25)


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
