"""Label-free threshold rules by their definition: one threshold, one pixel, one pair of neighbours after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def levels_of(score_map: NDArray, thresholds: Sequence[float]) -> list[list[int]]:
    """Number of thresholds that each pixel exceeds, in float32."""
    wanted = [np.float32(value) for value in thresholds]
    return [[sum(np.float32(value) > each for each in wanted) for value in row] for row in score_map]


def otsu_variance(levels: Sequence[int], threshold: int) -> float:
    """Between-class variance of the levels above and not above the index `threshold`."""
    above = [level for level in levels if level > threshold]
    below = [level for level in levels if level <= threshold]
    if not above or not below:
        return 0.0
    share = len(above) / len(levels)
    return share * (1 - share) * (sum(above) / len(above) - sum(below) / len(below)) ** 2


def total_variance(levels: Sequence[int]) -> float:
    mean = sum(levels) / len(levels)
    return sum((level - mean) ** 2 for level in levels) / len(levels)


def explained_colour(lab: NDArray, mask: NDArray) -> float:
    """1 - (variance left within the two regions) / variance, channel by channel; 0 with an empty region."""
    if mask.all() or not mask.any():
        return 0.0
    within = whole = 0.0
    for channel in range(3):
        values = lab[..., channel].astype(float)
        whole += float(((values - values.mean()) ** 2).sum())
        for region in (values[mask], values[~mask]):
            within += float(((region - region.mean()) ** 2).sum())
    return 0.0 if whole == 0 else 1 - within / whole


def neighbours(height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    pairs = []
    for row in range(height):
        for column in range(width):
            if row + 1 < height:
                pairs.append(((row, column), (row + 1, column)))
            if column + 1 < width:
                pairs.append(((row, column), (row, column + 1)))
    return pairs


def normalised_cut(lab: NDArray, mask: NDArray) -> float:
    """cut(A, B) / assoc(A, V) + cut(A, B) / assoc(B, V), 2 where it is not defined."""
    if mask.all() or not mask.any():
        return 2.0
    pairs = neighbours(*mask.shape)
    distances = [math.dist(lab[first].tolist(), lab[second].tolist()) for first, second in pairs]
    mean = sum(distances) / len(distances)
    weights = [math.exp(-distance / mean) if mean else 1.0 for distance in distances]
    cut, sides = 0.0, {True: 0.0, False: 0.0}
    for (first, second), weight in zip(pairs, weights, strict=True):
        sides[bool(mask[first])] += weight
        sides[bool(mask[second])] += weight
        cut += weight if mask[first] != mask[second] else 0.0
    return cut / sides[True] + cut / sides[False] if all(sides.values()) else 2.0


def excess_overlap(first: NDArray, second: NDArray) -> float:
    """(p12 - p1 p2) / sqrt(p1 p2) of two masks; 0 when one is empty."""
    one, two = first.mean(), second.mean()
    if one * two == 0:
        return 0.0
    return float(((first & second).mean() - one * two) / math.sqrt(one * two))
