"""Connected components of a mask."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError


def find_components(mask: NDArray[Any], connectivity: int = 8) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels the connected regions of a mask.

    mask: bool or uint8 (H, W), non-zero is object. connectivity: 4 or 8.
    Returns `labels` int32 (H, W), 0 background, 1..n components; and `stats` int32 (n, 5), one row
    x, y, width, height, area (pixels) for each component, row i for label i + 1. No object: stats is (0, 5).
    Raises ConfigError for another connectivity, DataError for another shape.
    """
    if connectivity not in (4, 8):
        raise ConfigError(f"connectivity: expected 4 or 8, but got {connectivity}.")
    if mask.ndim != 2 or mask.size == 0:
        raise DataError(f"mask: expected (H, W) with at least one pixel, but got {mask.shape}.")
    binary = np.ascontiguousarray(mask != 0).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=connectivity, ltype=cv2.CV_32S)
    return np.asarray(labels, np.int32), np.asarray(stats[1:], np.int32)
