"""Intersection over union of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.types import Box


def compute_box_iou(first: ArrayLike, second: ArrayLike, inclusive: bool = False) -> NDArray[np.float64]:
    """IoU of each box of `first` (N, 4) with each of `second` (M, 4): float64 (N, M) in [0, 1].

    Boxes are xyxy in pixels; half-open by default (width x2 - x1), `inclusive` counts both ends (width x2 - x1 + 1,
    the VOC devkit's and MaxBoxAcc's). Two boxes without area have IoU 0.
    """
    a, b = _as_boxes(first, "first"), _as_boxes(second, "second")
    extra = 1.0 if inclusive else 0.0
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(high - low + extra, 0.0), axis=2)
    union = _areas(a, extra)[:, None] + _areas(b, extra)[None, :] - overlap
    result = np.zeros_like(overlap)
    np.divide(overlap, union, out=result, where=union > 0)
    return result


def to_array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """The corners of `boxes` as float64 (N, 4), also for N = 0."""
    return np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)


def _as_boxes(boxes: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise DataError(f"{name} boxes: expected a finite (N, 4) array of xyxy, but got shape {array.shape}.")
    return array


def _areas(boxes: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2] + extra, 0.0), axis=1)
    return areas
