"""A dense CRF at a fraction of the image's size: cheaper, and not the same labels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def find_small_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """(height, width) over `scale`, rounded, at least 1."""
    return max(1, round(size[0] / scale)), max(1, round(size[1] / scale))


def shrink_planes(planes: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (C, *size): area averages of planes (C, H, W)."""
    return _resize(planes, size, cv2.INTER_AREA)


def shrink_features(features: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (*size, C): area averages of features (H, W, C), any number of channels."""
    return np.ascontiguousarray(np.moveaxis(shrink_planes(np.moveaxis(features, -1, 0), size), 0, -1))


def enlarge_probabilities(probabilities: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (L, *size), bilinear between pixel centres; sums over L stay 1."""
    enlarged = _resize(probabilities, size, cv2.INTER_LINEAR)
    return enlarged / enlarged.sum(axis=0)


def _resize(planes: NDArray[Any], size: tuple[int, int], interpolation: int) -> NDArray[np.float32]:
    # Plane by plane: OpenCV resizes 4 channels at once at most.
    resized = [cv2.resize(np.asarray(plane, np.float32), size[::-1], interpolation=interpolation) for plane in planes]
    return np.stack(resized).astype(np.float32, copy=False)
