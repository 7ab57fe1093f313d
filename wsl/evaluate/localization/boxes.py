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
    overlap = _overlap(a[:, ::2], b[:, ::2], extra) * _overlap(a[:, 1::2], b[:, 1::2], extra)
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


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    """The length that intervals (N, 2) and (M, 2) share, (N, M)."""
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0]) + extra
    return np.maximum(shared, 0.0)


def _areas(boxes: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    sides: NDArray[np.float64] = np.maximum(boxes[:, 2:] - boxes[:, :2] + extra, 0.0)
    return sides[:, 0] * sides[:, 1]
