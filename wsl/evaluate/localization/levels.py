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
_FEW = 16  # contours, up to which asking each for its box and area is quicker than arrays of all


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
    wanted = np.unique(np.asarray(levels, np.int64))
    wanted = wanted[wanted < image.max()]
    top, bottom = _find_extent(image.max(axis=1), wanted)
    left, right = _find_extent(image.max(axis=0), wanted)
    for level, y1, y2, x1, x2 in zip(*(each.tolist() for each in (wanted, top, bottom, left, right)), strict=True):
        yield _find_boxes(image[y1:y2, x1:x2], level, x1, y1)


def _find_extent(peaks: NDArray[np.uint8], levels: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each level the first place whose peak is above it, and one past the last."""
    first = np.searchsorted(np.maximum.accumulate(peaks), levels, side="right")
    last = len(peaks) - np.searchsorted(np.maximum.accumulate(peaks[::-1]), levels, side="right")
    return first, last


def _find_boxes(part: NDArray[np.uint8], level: int, left: int, top: int) -> LevelBoxes:
    _, binary = cv2.threshold(part, level, 1, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    boxes = _bound(contours)
    return LevelBoxes(level, boxes, _find_largest(contours, boxes))


def _bound(contours: Sequence[Any]) -> NDArray[np.float64]:
    """The box of each contour, float64 (M, 4): x, y, x + width, y + height."""
    if len(contours) <= _FEW:
        rectangles = [cv2.boundingRect(contour) for contour in contours]
        return np.array([(x, y, x + width, y + height) for x, y, width, height in rectangles], np.float64)
    points = np.concatenate(contours)[:, 0]
    starts = np.cumsum([0] + [len(contour) for contour in contours[:-1]])
    return np.hstack([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts) + 1.0])


def _find_largest(contours: Sequence[Any], boxes: NDArray[np.float64]) -> int:
    """First contour of the greatest area; no contour encloses more than its box between the outer pixel centres."""
    if len(contours) <= _FEW:
        measured = [cv2.contourArea(contour) for contour in contours]
        return measured.index(max(measured))
    bounds = np.prod(boxes[:, 2:] - boxes[:, :2] - 1, axis=1)
    areas = np.zeros(len(contours))
    greatest = 0.0
    for index in np.argsort(-bounds):
        if bounds[index] < greatest or bounds[index] == 0:
            break
        areas[index] = cv2.contourArea(contours[index])
        greatest = max(greatest, areas[index])
    return int(np.argmax(areas))
