"""Corrections of a label map by the shape of its regions: specks, holes, borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.seeds.rules.certainty import find_foreground
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask


def list_classes(labels: LabelMap) -> list[int]:
    """The class ids that occur, ascending, without background and 255."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return [int(each) for each in np.flatnonzero(counts) if each not in (BACKGROUND, IGNORE)]


def count_pixels(area: float, labels: LabelMap) -> float:
    """An area in pixels: the number itself if it is 1 or more, else that fraction of the image."""
    return area if area >= 1 else area * labels.size


def _find_components(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """(labels int32 (H, W), 0 outside of the mask; stats (n + 1, 5): x, y, width, height, area of each label)."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    return np.asarray(numbers, np.int32), stats


def remove_small(labels: LabelMap, find_area: Callable[[int], float], replacement: int) -> LabelMap:
    """Every 8-connected region of a class below its area becomes `replacement` (0 or 255).

    find_area: class id -> area, pixels if 1 or more, else a fraction of the image; 0 keeps every region.
    """
    cleaned = labels.copy()
    for class_id in list_classes(labels):
        numbers, stats = _find_components(labels == class_id, 8)
        small = stats[:, 4] < count_pixels(find_area(class_id), labels)
        small[0] = False
        cleaned[small[numbers]] = replacement
    return cleaned


def fill_holes(labels: LabelMap, area: float) -> LabelMap:
    """Holes of at most `area` (pixels if 1 or more, else a fraction of the image) get the class around them.

    A hole of a class is a 4-connected region without it that does not reach the edge of the image. One that holds
    another class is left as it is: only background and 255 are filled.
    """
    cleaned, foreground, most = labels.copy(), find_foreground(labels), count_pixels(area, labels)
    for class_id in list_classes(labels):
        numbers, stats = _find_components(labels != class_id, 4)
        filled = ~_find_touching(stats, labels.shape) & (stats[:, 4] <= most)
        filled[numbers[foreground]] = False  # 0, the class itself, among them
        cleaned[filled[numbers]] = class_id
    return cleaned


def _find_touching(stats: NDArray[Any], size: tuple[int, ...]) -> Mask:
    """bool (n + 1,): the component reaches the edge of the image of `size` (H, W)."""
    left, top, width, height = stats[:, :4].T
    touching: Mask = (left == 0) | (top == 0) | (left + width == size[1]) | (top + height == size[0])
    return touching


def ignore_borders(labels: LabelMap, margin: int) -> LabelMap:
    """255 where the square of `margin` pixels to each side holds two labels, 255 not being one; 0 changes nothing."""
    window = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    lowest = cv2.erode(labels, window)
    highest = cv2.dilate(np.where(labels == IGNORE, np.uint8(0), labels), window)
    return np.where(lowest < highest, np.uint8(IGNORE), labels)
