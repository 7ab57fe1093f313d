"""Slow, literal references for thresholds and components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def flood_components(mask: NDArray[np.bool_], connectivity: int) -> list[set[tuple[int, int]]]:
    """Sets of (y, x) of each connected region, in raster order of their first pixel."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    if connectivity == 8:
        steps += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    for first in sorted(left):
        if first not in left:
            continue
        left.remove(first)
        region, todo = {first}, [first]
        while todo:
            y, x = todo.pop()
            for dy, dx in steps:
                other = (y + dy, x + dx)
                if other in left:
                    left.remove(other)
                    region.add(other)
                    todo.append(other)
        regions.append(region)
    return regions


def otsu_split(levels: NDArray[np.integer]) -> set[int]:
    """Cut levels k with the largest w0 * w1 * (mean1 - mean0)^2 for the classes <= k and > k (within 1e-9)."""
    scores = {}
    for cut in range(256):
        low, high = levels[levels <= cut], levels[levels > cut]
        if low.size and high.size:
            scores[cut] = low.size * high.size / levels.size**2 * (high.mean() - low.mean()) ** 2
    best = max(scores.values())
    return {cut for cut, score in scores.items() if score >= best * (1 - 1e-9)}
