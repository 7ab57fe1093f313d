"""Boxes of a score map at every 8-bit level: the inner loop of MaxBoxAcc."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

LEVELS = 256
_FEW = 8  # contours, up to which asking each for its area is quicker than ranking their boxes first


@dataclass(frozen=True)
class LevelBoxes:
    """Boxes at one level: `boxes` float64 (M, 4), x, y, x + width, y + height; `largest` is the row of the contour
    that encloses the greatest area (the first in OpenCV's order on equal areas)."""

    level: int
    boxes: NDArray[np.float64]
    largest: int


def check_map(score_map: NDArray[Any], name: str = "score map") -> None:
    """Raises DataError unless `score_map` is a finite floating (H, W) with at least one pixel."""
    if score_map.ndim != 2 or not np.issubdtype(score_map.dtype, np.floating) or score_map.size == 0:
        raise DataError(f"{name}: expected floating (H, W), but got {score_map.dtype} {score_map.shape}.")
    if not np.isfinite(score_map).all():
        raise DataError(f"{name}: expected finite scores, but {int((~np.isfinite(score_map)).sum())} are NaN or inf.")


def to_8_bit(score_map: NDArray[np.floating], name: str = "score map") -> NDArray[np.uint8]:
    """Min-max normalised map, times 255, cut (not rounded) to uint8 (H, W), in float64; all 0 for a constant map.

    DataError for a map that is not floating (H, W) or holds NaN or inf.
    """
    check_map(score_map, name)
    values = score_map.astype(np.float64)
    values -= values.min()
    highest = values.max()
    if highest > 0:
        values /= highest
    return (values * 255).astype(np.uint8)


def to_8_bit_as_given(score_map: NDArray[np.floating], name: str = "score map") -> NDArray[np.uint8]:
    """Map times 255, cut (not rounded) to uint8 (H, W), in float64.

    DataError for a map that is not floating (H, W), not finite or not in [0, 1].
    """
    check_map(score_map, name)
    if score_map.min() < 0 or score_map.max() > 1:
        raise DataError(
            f"{name}: expected scores in [0, 1], which this protocol takes as they are, but they range from "
            f"{score_map.min():g} to {score_map.max():g}: normalise the maps or choose a protocol that does."
        )
    return (score_map.astype(np.float64) * 255).astype(np.uint8)


def to_levels(thresholds: ArrayLike, peak: int = 255) -> NDArray[np.intp]:
    """The 8-bit level int(t * peak) of each threshold in [0, 1), in float64, for a map whose largest value is `peak`.

    A pixel is foreground where it is above the level.
    """
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.size == 0 or not ((values >= 0) & (values < 1)).all():
        raise DataError("thresholds: expected at least one, all in [0, 1).")
    return (values * peak).astype(np.intp)


def iterate_levels(image: NDArray[np.uint8], levels: ArrayLike) -> Iterator[LevelBoxes]:
    """Boxes of {image > level} for each distinct level, ascending; levels without a foreground pixel are left out.

    Contours are OpenCV's: 8-connected components and the borders of their holes (4-connected), all of them. Each level
    looks only at the part of the image that holds its foreground.
    """
    row_peaks, column_peaks = image.max(axis=1), image.max(axis=0)
    for level in np.unique(np.asarray(levels)):
        rows, columns = np.flatnonzero(row_peaks > level), np.flatnonzero(column_peaks > level)
        if not len(rows):
            return
        top, left = int(rows[0]), int(columns[0])
        part = image[top : rows[-1] + 1, left : columns[-1] + 1]
        yield _find_boxes(part, int(level), left, top)


def _find_boxes(part: NDArray[np.uint8], level: int, left: int, top: int) -> LevelBoxes:
    _, binary = cv2.threshold(part, level, 1, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], np.float64)
    largest = _find_largest(contours, boxes)
    boxes[:, 2:] += boxes[:, :2]
    return LevelBoxes(level, boxes, largest)


def _find_largest(contours: Sequence[Any], rectangles: NDArray[np.float64]) -> int:
    """First contour of the greatest area; no contour encloses more than its box between the outer pixel centres."""
    if len(contours) <= _FEW:
        return int(np.argmax([cv2.contourArea(contour) for contour in contours]))
    bounds = (rectangles[:, 2] - 1) * (rectangles[:, 3] - 1)
    areas = np.zeros(len(contours))
    greatest = 0.0
    for index in np.argsort(-bounds):
        if bounds[index] < greatest or bounds[index] == 0:
            break
        areas[index] = cv2.contourArea(contours[index])
        greatest = max(greatest, areas[index])
    return int(np.argmax(areas))
