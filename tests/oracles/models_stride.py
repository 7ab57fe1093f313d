"""Convolution and pooling with spread taps, position by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def convolve_spread(
    x: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32], dilation: int
) -> NDArray[np.float32]:
    """Stride 1, zero outside, output of the input's size. x (C, h, w), weight (O, C, 3, 3), bias (O,)."""
    _, height, width = x.shape
    out = np.zeros((len(weight), height, width), np.float32)
    for o in range(len(weight)):
        for i in range(height):
            for j in range(width):
                total = float(bias[o])
                for a in range(3):
                    for b in range(3):
                        row, column = i + (a - 1) * dilation, j + (b - 1) * dilation
                        if 0 <= row < height and 0 <= column < width:
                            total += float((weight[o, :, a, b] * x[:, row, column]).sum())
                out[o, i, j] = total
    return out


def average_pool_spread(x: NDArray[np.float32], dilation: int) -> NDArray[np.float32]:
    """Mean of (i, j), (i + d, j), (i, j + d), (i + d, j + d); positions outside repeat the border. x (C, h, w)."""
    _, height, width = x.shape
    out = np.zeros_like(x)
    for i in range(height):
        for j in range(width):
            below, right = min(i + dilation, height - 1), min(j + dilation, width - 1)
            out[:, i, j] = (x[:, i, j] + x[:, below, j] + x[:, i, right] + x[:, below, right]) / 4
    return out
