"""The blind guess that a seed has to beat: a box in the middle of the image."""

from __future__ import annotations

import math

import numpy as np

from wsl.errors import DataError
from wsl.types import LabelMap


def centre_box_label_map(size: tuple[int, int], area: int, class_id: int) -> LabelMap:
    """Label map uint8 (H, W) of `size` with one centred box of the image's own aspect ratio, elsewhere 0.

    Its area comes as near to `area` pixels as the aspect ratio, rounded to whole pixels up or down, allows. Give it
    the area of a seed to see what the seed's place and form are worth.
    """
    height, width = size
    if not 0 <= area <= height * width:
        raise DataError(f"area: expected 0..{height * width} pixels for a {height}x{width} image, but got {area}.")
    label_map = np.zeros(size, np.uint8)
    if area:
        box_height, box_width = _box_size(size, area)
        top, left = (height - box_height) // 2, (width - box_width) // 2
        label_map[top : top + box_height, left : left + box_width] = class_id
    return label_map


def _box_size(size: tuple[int, int], area: int) -> tuple[int, int]:
    """Of the sides just below and above the ideal ones, those with the nearest area, then the nearest height."""
    height, width = size
    ideal = math.sqrt(area * height / width)
    candidates = []
    for rows in {max(1, math.floor(ideal)), min(height, max(1, math.ceil(ideal)))}:
        for columns in {math.floor(area / rows), math.ceil(area / rows)}:
            columns = min(width, max(1, columns))
            candidates.append((abs(rows * columns - area), abs(rows - ideal), rows, columns))
    return min(candidates)[2:]
