"""MaxBoxAcc without OpenCV and without shortcuts: one threshold after the other, contours by their definition.

An outer contour is a component of 8-connected foreground, a hole contour a 4-connected hole, whose border lies one
pixel around it. The area that a contour encloses, on the lattice of pixel centres, is the number of 2 x 2 blocks that
are full in the filled component plus half the number of blocks with three pixels. OpenCV lists contours from the
last first pixel to the first, so of equal areas the component that begins last counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EIGHT = np.ones((3, 3), int)
Boxes = list[tuple[float, float, float, float]]


def quantise(score_map: NDArray) -> NDArray[np.uint8] | None:
    values = score_map.astype(np.float64)
    low, high = values.min(), values.max()
    if low == high:
        return None
    return np.array([[int((value - low) / (high - low) * 255) for value in row] for row in values], np.uint8)


def boxes_at(image: NDArray[np.uint8], level: int) -> tuple[Boxes, tuple[float, float, float, float]]:
    """(boxes of all contours, box of the largest contour) as x, y, x + width, y + height."""
    foreground = image > level
    labels, count = ndimage.label(foreground, EIGHT)
    boxes, ranked = [], []
    for number in range(1, count + 1):
        component = labels == number
        box = extent(component)
        boxes.append(box)
        ranked.append((polygon_area(ndimage.binary_fill_holes(component)), int(np.flatnonzero(component)[0]), box))
    padded = np.pad(~foreground, 1, constant_values=True)
    holes, count = ndimage.label(padded)
    for number in range(1, count + 1):
        if number != holes[0, 0]:
            x1, y1, x2, y2 = extent((holes == number)[1:-1, 1:-1])
            boxes.append((x1 - 1, y1 - 1, x2 + 1, y2 + 1))
    return boxes, max(ranked)[2]


def extent(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def polygon_area(mask: NDArray[np.bool_]) -> float:
    area = 0.0
    for row in range(mask.shape[0] - 1):
        for column in range(mask.shape[1] - 1):
            area += {4: 1.0, 3: 0.5}.get(int(mask[row : row + 2, column : column + 2].sum()), 0.0)
    return area


def box_iou(a: Sequence[float], b: Sequence[float], extra: float) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + extra) * (c[3] - c[1] + extra) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def best_overlaps(
    image: NDArray[np.uint8], truth: Sequence[Sequence[float]], levels: Sequence[int], protocol_boxes: bool
) -> NDArray[np.float64]:
    """Best IoU at each of `levels`, float64 (2, 256): row 0 of the largest contour, row 1 of all."""
    best = np.zeros((2, 256))
    height, width = image.shape
    extra = 1.0 if protocol_boxes else 0.0

    def clip(box: Sequence[float]) -> tuple[float, float, float, float]:
        if not protocol_boxes:
            return box[0], box[1], box[2], box[3]
        return box[0], box[1], min(box[2], width - 1), min(box[3], height - 1)

    for level in levels:
        if (image > level).any():
            every, largest = boxes_at(image, level)
            for version, candidates in enumerate(([largest], every)):
                best[version, level] = max(box_iou(clip(box), true, extra) for box in candidates for true in truth)
    return best


def hits_of_pair(
    score_map: NDArray,
    truth: Sequence[Sequence[float]],
    thresholds: Sequence[float],
    iou_thresholds: Sequence[float],
    protocol_boxes: bool,
) -> NDArray[np.bool_]:
    """Whether the pair is found: bool (2 versions, IoU thresholds, thresholds), version 0 = largest contour."""
    hits = np.zeros((2, len(iou_thresholds), len(thresholds)), bool)
    image = quantise(score_map)
    if image is None:
        return hits
    for column, threshold in enumerate(thresholds):
        level = int(threshold * image.max())
        best = best_overlaps(image, truth, [level], protocol_boxes)[:, level]
        hits[:, :, column] = [[value >= wanted for wanted in iou_thresholds] for value in best]
    return hits
