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
    """One side just below or above the ideal one and the other as the area then wants it: of these (rows, columns)
    those with the nearest area, then the nearest form."""
    height, width = size
    ideal_rows, ideal_columns = math.sqrt(area * height / width), math.sqrt(area * width / height)
    pairs = [(rows, columns) for rows in _around(ideal_rows) for columns in _around(area / rows)]
    pairs += [(rows, columns) for columns in _around(ideal_columns) for rows in _around(area / columns)]
    fitting = [(rows, columns) for rows, columns in pairs if rows <= height and columns <= width]
    return min(fitting, key=lambda pair: (abs(pair[0] * pair[1] - area), abs(pair[0] - ideal_rows), pair))


def _around(side: float) -> tuple[int, int]:
    """The whole numbers at or just below and above `side`, at least 1."""
    return max(1, math.floor(side)), max(1, math.ceil(side))
