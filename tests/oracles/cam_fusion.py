"""From maps of several scales to one score map, position by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def interpolate(raw: Array, size: tuple[int, int], align_corners: bool) -> Array:
    """Bilinear, one output pixel at a time, in float64."""
    found = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            row = _source(y, raw.shape[0], size[0], align_corners)
            column = _source(x, raw.shape[1], size[1], align_corners)
            found[y, x] = _between(raw, row, column)
    return found


def _source(index: int, cells: int, pixels: int, align_corners: bool) -> float:
    if align_corners:
        return index * (cells - 1) / (pixels - 1) if pixels > 1 else 0.0
    return min(max((index + 0.5) * cells / pixels - 0.5, 0.0), cells - 1.0)


def _between(raw: Array, row: float, column: float) -> float:
    top, left = math.floor(row), math.floor(column)
    bottom, right = min(top + 1, raw.shape[0] - 1), min(left + 1, raw.shape[1] - 1)
    down, across = row - top, column - left
    upper = raw[top, left] * (1 - across) + raw[top, right] * across
    lower = raw[bottom, left] * (1 - across) + raw[bottom, right] * across
    return float(upper * (1 - down) + lower * down)


def irn_level(straight: Array, mirrored: Array) -> Array:
    """One scale: signed maps of the image and of its mirror image -> clipped each, the second turned, added."""
    height, width = straight.shape
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            found[y, x] = max(straight[y, x], 0) + max(mirrored[y, width - 1 - x], 0)
    return found


def irn_high_resolution(levels: Sequence[Array], size: tuple[int, int]) -> Array:
    """All scales of one class -> sides rounded up to 16, added, cropped, divided by maximum + 1e-5."""
    height, width = size
    rounded = (16 * ((height - 1) // 16 + 1), 16 * ((width - 1) // 16 + 1))
    total = np.zeros(rounded)
    for level in levels:
        total += interpolate(level, rounded, align_corners=False)
    cropped = total[:height, :width]
    return cropped / (cropped.max() + 1e-5) if cropped.max() > 0 else cropped * 0
