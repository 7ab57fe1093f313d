"""Boxes of a score map at every 8-bit level: the inner loop of MaxBoxAcc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

LEVELS = 256


@dataclass(frozen=True)
class LevelBoxes:
    """Boxes at one level: `boxes` float64 (M, 4), x, y, x + width, y + height; `largest` is the row of the contour
    that encloses the greatest area (the first in OpenCV's order on equal areas)."""

    level: int
    boxes: NDArray[np.float64]
    largest: int


def to_8_bit(score_map: NDArray[np.floating], name: str = "score map") -> NDArray[np.uint8] | None:
    """Min-max normalised map, times 255, cut (not rounded) to uint8 (H, W), in float64; None for a constant map.

    DataError for a map that is not floating (H, W) or holds NaN or inf.
    """
    if score_map.ndim != 2 or not np.issubdtype(score_map.dtype, np.floating) or score_map.size == 0:
        raise DataError(f"{name}: expected floating (H, W), but got {score_map.dtype} {score_map.shape}.")
    if not np.isfinite(score_map).all():
        raise DataError(f"{name}: expected finite scores, but {int((~np.isfinite(score_map)).sum())} are NaN or inf.")
    values = score_map.astype(np.float64)
    values -= values.min()
    highest = values.max()
    return (values / highest * 255).astype(np.uint8) if highest > 0 else None


def to_levels(thresholds: ArrayLike) -> NDArray[np.intp]:
    """The 8-bit level int(t * 255) of each threshold in [0, 1): a pixel is foreground where it is above the level."""
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.size == 0 or not ((values >= 0) & (values < 1)).all():
        raise DataError("thresholds: expected at least one, all in [0, 1).")
    return (values * 255).astype(np.intp)


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
    binary = (part > level).astype(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    rectangles = np.array([cv2.boundingRect(contour) for contour in contours], np.float64)
    rectangles[:, 2:] += rectangles[:, :2]
    largest = int(np.argmax([cv2.contourArea(contour) for contour in contours]))
    return LevelBoxes(level, rectangles, largest)
