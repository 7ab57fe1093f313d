"""Edge maps that need no network: how steep the image is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError

SCHARR_SUM = np.float32(32)  # what the Scharr kernel gives for a slope of 1
STEEPEST = 98.0  # percentile of the slopes that counts as a certain edge
LEAST_CONTRAST = np.float32(2)  # grey levels per cell; images without steeper slopes have no certain edge


def compute_gradient_edges(features: NDArray[Any]) -> NDArray[np.float32]:
    """Edge map float32 (h, w) in [0, 1]: Scharr slope of the steepest channel, 1 from its 98th percentile on.

    features: numbers (C, h, w), finite: grey, RGB or any bands, on the scale of 0..255. Edges are repeated outwards.
    Slopes are divided by 2 grey levels per cell at least, so faint noise is no edge. DataError for another shape.
    """
    if features.ndim != 3 or features.size == 0:
        raise DataError(f"features: expected (C, h, w) with at least one channel and cell, but got {features.shape}.")
    slopes = np.max([_compute_slope(np.ascontiguousarray(channel, np.float32)) for channel in features], axis=0)
    certain = max(np.float32(np.percentile(slopes, STEEPEST)), LEAST_CONTRAST)
    edges: NDArray[np.float32] = np.minimum(slopes / certain, np.float32(1))
    return edges


def _compute_slope(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    across = cv2.Scharr(channel, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(channel, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    return cv2.magnitude(across, down) / SCHARR_SUM
