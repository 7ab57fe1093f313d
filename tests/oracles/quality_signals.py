"""Signals of a region pixel by pixel, from their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Region = list[tuple[int, int]]


def soft_iou(first: np.ndarray, second: np.ndarray, pixels: Region | None = None) -> float:
    """sum(min) / sum(max) of the positive parts of two maps over some pixels, NaN where both are empty."""
    low = high = 0.0
    for place in np.ndindex(first.shape) if pixels is None else pixels:
        a, b = max(float(first[place]), 0.0), max(float(second[place]), 0.0)
        low, high = low + min(a, b), high + max(a, b)
    return low / high if high else math.nan


def regions_by_flooding(mask: np.ndarray) -> list[Region]:
    """8-connected components, each a list of pixels, in the order in which reading meets them."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        region, waiting = [], [start]
        while waiting:
            y, x = waiting.pop()
            region.append((y, x))
            for neighbour in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if neighbour in left:
                    left.discard(neighbour)
                    waiting.append(neighbour)
        found.append(sorted(region))
    return found


def border_of(region: Region, size: tuple[int, int]) -> Region:
    """Pixels with a neighbour inside the image that is not of the region."""
    inside = set(region)
    return [
        (y, x)
        for y, x in region
        if any(
            0 <= y + dy < size[0] and 0 <= x + dx < size[1] and (y + dy, x + dx) not in inside
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        )
    ]


def compactness_of(region: Region) -> float:
    """16 * pixels / (pixel sides that face something else)^2."""
    inside = set(region)
    sides = sum((y + dy, x + dx) not in inside for y, x in region for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))
    return 16 * len(region) / sides**2


def margin_at(scores: np.ndarray, background: np.ndarray, row: int, place: tuple[int, int]) -> float:
    """Lead over the best rival, not below 0."""
    rivals = [float(background[place])] + [float(each[place]) for other, each in enumerate(scores) if other != row]
    return max(float(scores[row][place]) - max(rivals), 0.0)


def certainty_at(scores: np.ndarray, background: np.ndarray, place: tuple[int, int]) -> float:
    """1 - entropy of the shares of background and classes, over its largest possible value."""
    values = [float(background[place])] + [float(each[place]) for each in scores]
    if len(values) == 1:
        return 1.0
    total = sum(values)
    shares = [value / total if total else 1 / len(values) for value in values]
    return 1 + sum(share * math.log(share) for share in shares if share > 0) / math.log(len(values))


def iou_of(first: Region, second: Region) -> float:
    """Intersection over union of two regions."""
    return len(set(first) & set(second)) / len(set(first) | set(second))


def mean_over(values: Sequence[float]) -> float:
    """Plain mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan
