"""Connected components by flooding, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def components_by_flooding(label_map: NDArray[np.uint8]) -> list[tuple[int, frozenset[tuple[int, int]]]]:
    """(class_id, pixels (row, column)) of the 8-connected components, by class, then by first pixel."""
    height, width = label_map.shape
    seen: set[tuple[int, int]] = set()
    found = []
    for start in [(row, column) for row in range(height) for column in range(width)]:
        class_id = int(label_map[start])
        if class_id in (0, 255) or start in seen:
            continue
        waiting, pixels = [start], {start}
        while waiting:
            row, column = waiting.pop()
            for near in [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and near not in pixels and label_map[near] == class_id:
                    pixels.add(near)
                    waiting.append(near)
        seen |= pixels
        found.append((class_id, start, frozenset(pixels)))
    return [(class_id, pixels) for class_id, _, pixels in sorted(found, key=lambda entry: entry[:2])]
