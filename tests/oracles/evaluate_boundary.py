"""Boundary regions and contours class by class and pixel by pixel, and the measures made of them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

LabelMap = NDArray[np.uint8]


def boundary_by_window(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Pixels of the mask whose window holds a pixel outside of the mask or of the image."""
    height, length = mask.shape
    result = np.zeros_like(mask)
    for y in range(height):
        for x in range(length):
            inside = all(
                0 <= y + dy < height and 0 <= x + dx < length and mask[y + dy, x + dx]
                for dy in range(-width, width + 1)
                for dx in range(-width, width + 1)
            )
            result[y, x] = mask[y, x] and not inside
    return result


def boundary_by_erosion(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """As published: the mask without its erosion, 3x3, `width` times, the outside of the image being empty."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask & ~eroded[1:-1, 1:-1].astype(bool)


def boundary_counts(
    truth: LabelMap, predicted: LabelMap, num_classes: int, width: int, predicted_ignore: str
) -> list[tuple[int, int]]:
    """(intersection, union) per class; 255 is a label of its own and not scored."""
    scored = truth != 255
    if predicted_ignore == "exclude":
        scored &= predicted != 255
    else:
        predicted = np.where(predicted == 255, 0, predicted)
    counts = []
    for class_id in range(num_classes + 1):
        first = boundary_by_erosion(truth == class_id, width) & scored
        second = boundary_by_erosion(predicted == class_id, width) & scored
        counts.append((int((first & second).sum()), int((first | second).sum())))
    return counts


def contour_by_neighbour(label_map: LabelMap) -> NDArray[np.bool_]:
    """Pixels with one of four neighbours of another label."""
    height, width = label_map.shape
    result = np.zeros(label_map.shape, bool)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    result[y, x] |= label_map[y, x] != label_map[y + dy, x + dx]
    return result


def squared_distance_by_pixel(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """To the nearest of `pixels`; inf when there is none."""
    places = np.argwhere(pixels).tolist()
    result = np.full(pixels.shape, np.inf)
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            result[y, x] = min(((y - a) ** 2 + (x - b) ** 2 for a, b in places), default=math.inf)
    return result


def f_by_class(
    truth: LabelMap, predicted: LabelMap, class_id: int, tolerance: float, predicted_ignore: str
) -> float | None:
    """Boundary F of one class in one image; None when the truth does not have it."""
    if predicted_ignore == "background":
        predicted = np.where(predicted == 255, np.uint8(0), predicted)
    if class_id not in truth:
        return None
    if class_id not in predicted:
        return 0.0
    limit = tolerance * math.hypot(*truth.shape)
    true_contour = contour_by_neighbour(truth) & (truth == class_id)
    contour = contour_by_neighbour(predicted) & (predicted == class_id)
    scored = (truth != 255) & (predicted != 255)
    to_true, to_predicted = squared_distance_by_pixel(true_contour), squared_distance_by_pixel(contour)
    in_recall, in_precision = true_contour & scored, contour & scored
    if not in_recall.any() or not in_precision.any():
        return 1.0 if in_recall.any() == in_precision.any() else 0.0
    recall = float((to_predicted[in_recall] <= limit**2).mean())
    precision = float((to_true[in_precision] <= limit**2).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
