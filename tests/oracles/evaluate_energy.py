"""Literal regions and energy shares: loops over pixels and objects."""

from __future__ import annotations

import math

import numpy as np


def find_objects(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """8-connected components as sets of (row, column)."""
    left = {(int(r), int(c)) for r, c in np.argwhere(mask)}
    found = []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            for near in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    edge.append(near)
        found.append(part)
    return found


def reach_of(part: set[tuple[int, int]]) -> float:
    """A tenth of the diagonal of the bounding box, at least a pixel."""
    rows, columns = [r for r, _ in part], [c for _, c in part]
    return max(1.0, 0.1 * math.hypot(max(rows) - min(rows) + 1, max(columns) - min(columns) + 1))


def regions_of_pixel(row: int, column: int, target, others, ignore) -> set[str]:
    """The region of a pixel; several names where two objects of different sizes are equally near."""
    if ignore[row, column]:
        return {"ignored"}
    if target[row, column]:
        return {"object"}
    if others[row, column]:
        return {"other_objects"}
    height, width = target.shape
    edge = max(1, round(0.05 * min(height, width)))
    off = "border" if min(row, column, height - 1 - row, width - 1 - column) < edge else "rest"
    parts = find_objects(target)
    if not parts:
        return {off}
    distances = [min(math.hypot(row - r, column - c) for r, c in part) for part in parts]
    nearest = [part for part, d in zip(parts, distances, strict=True) if math.isclose(d, min(distances))]
    return {"surroundings" if min(distances) <= reach_of(part) else off for part in nearest}
