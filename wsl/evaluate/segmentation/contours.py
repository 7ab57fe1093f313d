"""Where labels meet: contour pixels of all classes at once, and the distance to the nearest of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.types import LabelMap, Mask


def find_contours(label_map: LabelMap) -> Mask:
    """Pixels with a direct neighbour (left, right, above, below) of another label, bool (H, W); 255 is a label.

    Both sides of an edge are in it, so the inner contour of class c is `find_contours(...) & (label_map == c)`. The
    image border alone makes no contour.
    """
    contours = np.zeros(label_map.shape, np.bool_)
    beside = label_map[:, 1:] != label_map[:, :-1]
    below = label_map[1:] != label_map[:-1]
    contours[:, 1:] |= beside
    contours[:, :-1] |= beside
    contours[1:] |= below
    contours[:-1] |= below
    return contours


def compute_squared_distance(pixels: Mask) -> NDArray[np.float64]:
    """Square of the Euclidean distance of each pixel to the nearest one of `pixels`, float64 (H, W), a whole number;
    inf when there is none."""
    if not pixels.any():
        return np.full(pixels.shape, np.inf)
    away = (~pixels).astype(np.uint8)
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.rint(np.square(distance, dtype=np.float64))  # OpenCV is off by some 1e-5, so whole numbers are sure
