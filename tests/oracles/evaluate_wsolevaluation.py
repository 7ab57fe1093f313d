"""MaxBoxAcc as its authors' code computes it (Choe et al., CVPR 2020): one threshold after the other, OpenCV contours.

Written from the published protocol, step by step and without any shortcut; percentages as there.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 224
Corners = Sequence[float]
IntBox = tuple[int, int, int, int]


def infer(cam: NDArray) -> NDArray[np.float64]:
    """What the inference hands on: the class map resized to the grid, then stretched to [0, 1]."""
    resized = cv2.resize(cam.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    if np.isnan(resized).any() or resized.min() == resized.max():
        return np.zeros_like(resized)
    resized = resized - resized.min()
    return resized / resized.max()


def resize_box(box: Corners, size: tuple[int, int]) -> IntBox:
    """A true box on the grid; `size` (height, width) of the image."""
    x0, y0, x1, y1 = (float(value) for value in box)
    height, width = float(size[0]), float(size[1])
    return int(x0 * SIDE / width), int(y0 * SIDE / height), int(x1 * SIDE / width), int(y1 * SIDE / height)


def find_boxes(score_map: NDArray[np.float64], threshold: float, multi: bool) -> list[IntBox]:
    """Boxes of one binarisation: of the largest contour, or of all."""
    height, width = score_map.shape
    image = (score_map * 255).astype(np.uint8)
    _, binary = cv2.threshold(image, int(threshold * np.max(image)), 255, cv2.THRESH_BINARY)
    contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    if len(contours) == 0:
        return [(0, 0, 0, 0)]
    if not multi:
        contours = [max(contours, key=cv2.contourArea)]
    boxes = []
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        boxes.append((x, y, min(x + w, width - 1), min(y + h, height - 1)))
    return boxes


def box_iou(a: IntBox, b: IntBox) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
    area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    union = area_a + area_b - width * height
    return width * height / union if union > 0 else 0.0


def hits_of_image(
    score_map: NDArray[np.float64],
    truth: Sequence[IntBox],
    thresholds: Sequence[float],
    multi: bool,
    percents: Sequence[int],
) -> NDArray[np.bool_]:
    """bool (percents, thresholds): whether a box meets a true one."""
    hits = np.zeros((len(percents), len(thresholds)), bool)
    for column, threshold in enumerate(thresholds):
        best = max(box_iou(box, true) for box in find_boxes(score_map, threshold, multi) for true in truth)
        for row, percent in enumerate(percents):
            hits[row, column] = best >= percent / 100
    return hits


def max_box_acc(
    score_maps: Sequence[NDArray[np.float64]],
    truths: Sequence[Sequence[IntBox]],
    interval: float,
    multi: bool,
    percents: Sequence[int] = (30, 50, 70),
) -> list[float]:
    """For each percentage the best accuracy over the thresholds, in percent."""
    thresholds = list(np.arange(0, 1, interval))
    correct = np.zeros((len(percents), len(thresholds)))
    for score_map, truth in zip(score_maps, truths, strict=True):
        correct += hits_of_image(score_map, truth, thresholds, multi, percents)
    return [max(row * 100.0 / len(score_maps)) for row in correct]
