"""The component whose contour encloses most, at every level: the box of MaxBoxAcc V1.

A contour encloses no more than its box between the outermost pixel centres, and some component no less than was the
most at a higher level, for components only grow downwards. So where all boxes but one are smaller than that, the
component with this box is the largest, and no contour is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.evaluate.localization.component_boxes import ComponentBoxes
from wsl.evaluate.localization.tree_steps import Bytes, Ints

_FEW = 16  # contours, up to which asking each for its box and area is quicker than arrays of all


def choose_largest(ranks: Bytes, components: ComponentBoxes, count: int) -> Ints:
    """The position in `components` of the box of the largest contour of {rank > k}, for k = 0..count - 1.

    Largest is what encloses the greatest area (`cv2.contourArea`), the last to begin in raster order on equal areas.
    ranks uint8 (H + 2, W + 2) in a frame of 0; `components` 8-connected, at least one at every level.
    """
    bounds = _list_bounds(components.boxes)
    order = np.lexsort((bounds, components.levels))  # by level, the widest box last
    ends = np.cumsum(np.bincount(components.levels, minlength=count))
    chosen = order[ends - 1]
    is_alone = np.diff(ends, prepend=0) == 1
    seconds = bounds[order[ends - 2]].tolist()  # the second widest, where there is one
    most = 0.0
    for level in np.flatnonzero(~is_alone)[::-1].tolist():
        if seconds[level] >= most:
            rivals = order[ends[level - 1] if level else 0 : ends[level]]
            rivals = rivals[bounds[rivals] >= most]
            chosen[level], most = _compare(ranks, components, bounds, rivals, level)
    return chosen


def _list_bounds(boxes: Ints) -> Ints:
    """The area of each box between the outermost pixel centres, (M,)."""
    sides = boxes[:, 2:] - boxes[:, :2] - 1
    return sides[:, 0] * sides[:, 1]


def _compare(ranks: Bytes, components: ComponentBoxes, bounds: Ints, rivals: Ints, level: int) -> tuple[int, float]:
    """(position, area) of the largest of the components `rivals`, which are all of this level, the widest last."""
    compiled = load_compiled("wsl.evaluate.localization.largest_contour_compiled")
    if compiled is not None:
        rival, area = compiled.find_largest(ranks, components.places[rivals], bounds[rivals], level)
        return int(rivals[rival]), area
    boxes = components.boxes[rivals]
    box, area = _find_largest(ranks, boxes, level)
    return int(rivals[np.flatnonzero((boxes == box).all(axis=1))[0]]), area


def _find_largest(ranks: Bytes, boxes: Ints, level: int) -> tuple[Ints, float]:
    """Box (half-open) and area of the largest outer contour; OpenCV lists the last one to begin first."""
    x1, y1 = boxes[:, :2].min(axis=0).tolist()
    x2, y2 = boxes[:, 2:].max(axis=0).tolist()
    _, binary = cv2.threshold(ranks[y1 + 1 : y2 + 1, x1 + 1 : x2 + 1], level, 1, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x1, y1))
    areas = _measure(contours)
    largest = int(np.argmax(areas))
    x, y, width, height = cv2.boundingRect(contours[largest])
    return np.array([x, y, x + width, y + height], np.int64), float(areas[largest])


def _measure(contours: Sequence[Any]) -> NDArray[np.float64]:
    """The area in each contour, float64 (M,); of many contours 0 for those that cannot be the largest."""
    if len(contours) <= _FEW:
        return np.array([cv2.contourArea(contour) for contour in contours])
    points = np.concatenate(contours)[:, 0]
    starts = np.cumsum([0] + [len(contour) for contour in contours[:-1]])
    bounds = _list_bounds(np.hstack([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts) + 1]))
    areas = np.zeros(len(contours))
    for index in np.argsort(-bounds):
        if bounds[index] < areas.max() or bounds[index] == 0:
            break
        areas[index] = cv2.contourArea(contours[index])
    return areas
