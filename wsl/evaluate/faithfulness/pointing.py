"""Pointing game and energy pointing game: does the map's maximum, or its energy, lie on the object?

Pointing: Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016: a hit when the maximum lies on an
object of the class, or within 15 pixels of it. Energy: Wang et al., Score-CAM, CVPRW 2020: the share of the map's sum
that lies inside the objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_same_size
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.maps import check_map
from wsl.types import Box, Mask

TOLERANCE = 15


def compute_hit(
    score_map: NDArray[np.floating], inside: Mask, ignore: Mask | None = None, tolerance: float = TOLERANCE
) -> float:
    """Share of the map's highest pixels that lie within `tolerance` pixels of the object, in [0, 1].

    That is 1 or 0, except where several pixels share the maximum: then it is what choosing one by chance would give.
    score_map: floating (H, W) in [0, 1]. inside: bool (H, W), the objects of the class. ignore: pixels that are not
    looked at (255 in a label map). tolerance: distance from pixel centre to pixel centre, 0 = on the object. A constant
    map points nowhere: 0. DataError without any object pixel.
    """
    counted = _check(score_map, inside, ignore)
    if tolerance < 0:
        raise ConfigError(f"tolerance: expected pixels, at least 0, but got {tolerance}.")
    values = score_map[counted]
    if values.size == 0 or values.min() == values.max():
        return 0.0
    near = inside if tolerance == 0 else _distance_to(inside) <= tolerance
    highest = counted & (score_map == values.max())
    return float(near[highest].mean())


def compute_energy(score_map: NDArray[np.floating], inside: Mask, ignore: Mask | None = None) -> float:
    """Share of the map's sum inside the objects, in [0, 1]; arguments as `compute_hit`. 0 for a map of zeros."""
    counted = _check(score_map, inside, ignore)
    energy = np.maximum(score_map, 0, dtype=np.float64)
    total = energy[counted].sum()
    return float(energy[counted & inside].sum() / total) if total > 0 else 0.0


def draw_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> Mask:
    """bool (H, W) of `size`, True inside any of the half-open xyxy boxes: rows are y, columns are x.

    A pixel that a box covers in part counts; what lies outside the image does not.
    """
    inside = np.zeros(size, np.bool_)
    for box in boxes:
        x1, y1, x2, y2 = (max(0.0, side) for side in box.xyxy)
        inside[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)] = True
    return inside


def _check(score_map: NDArray[np.floating], inside: Mask, ignore: Mask | None) -> Mask:
    """The pixels that count."""
    check_map(score_map)
    check_same_size(inside, score_map, "object mask", "score map")
    if not inside.any():
        raise DataError("object mask: expected at least one object pixel, but got none; leave the class out.")
    if ignore is None:
        return np.ones(inside.shape, np.bool_)
    check_same_size(ignore, score_map, "ignore mask", "score map")
    return ~ignore


def _distance_to(inside: Mask) -> NDArray[np.float32]:
    outside = np.ascontiguousarray(~inside).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
