"""From the pixels of an image to the coarser grid that a walk runs on, and back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MIN_CELLS = 32  # a grid has at least so many cells along the shorter side, or one for each pixel


def choose_stride(size: tuple[int, int], stride: int) -> int:
    """Pixels per cell: `stride`, or less where the shorter side of the image (height, width) has too few for it."""
    return max(1, min(stride, min(size) // MIN_CELLS))


def grid_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(h, w) of the grid: the size divided by the stride, rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)


def shrink(planes: NDArray[Any], stride: int) -> Floats:
    """float32 (C, h, w): mean of the pixels of each cell, the last row and column repeated to fill the last cells.

    planes: numbers (C, H, W).
    """
    return np.stack([_shrink_one(_fill(plane, stride), stride) for plane in planes])


def _fill(plane: NDArray[Any], stride: int) -> Floats:
    height, width = plane.shape
    values = np.ascontiguousarray(plane, np.float32)
    filled: Any = cv2.copyMakeBorder(values, 0, -height % stride, 0, -width % stride, cv2.BORDER_REPLICATE)
    return np.asarray(filled, np.float32)


def _shrink_one(filled: Floats, stride: int) -> Floats:
    height, width = filled.shape
    shrunk: Any = cv2.resize(filled, (width // stride, height // stride), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)


def enlarge(planes: Floats, stride: int, size: tuple[int, int]) -> Floats:
    """float32 (C, H, W): enlarged by exactly `stride` (bilinear, align_corners=False), cut to `size`, as IRN."""
    (height, width), (rows, columns) = size, planes.shape[1:]
    target = (columns * stride, rows * stride)
    return np.stack([cv2.resize(one, target, interpolation=cv2.INTER_LINEAR)[:height, :width] for one in planes])


def resize(planes: NDArray[Any], size: tuple[int, int]) -> Floats:
    """float32 (C, *size): by area where both sides shrink, else bilinear; equal sizes stay as they are."""
    values = np.ascontiguousarray(planes, np.float32)
    height, width = size
    if values.shape[1:] == size:
        return values
    smaller = height <= values.shape[1] and width <= values.shape[2]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, (width, height), interpolation=way) for plane in values])


def fit_edges(edges: NDArray[Any], size: tuple[int, int], stride: int) -> Floats:
    """An edge map (any size) on the grid of an image of `size` (height, width): float32 (h, w).

    One that has the size of the grid is taken as it is. Others are resized to the image, bilinearly, if they do not
    have its size, and each cell takes its largest edge, so that thin edges stay closed.
    """
    rows, columns = grid_size(size, stride)
    if edges.shape == (rows, columns):
        return np.asarray(edges, np.float32)
    fine = _fill(resize(edges[None], size)[0], stride)
    largest: Floats = fine.reshape(rows, stride, columns, stride).max(axis=(1, 3))
    return largest
