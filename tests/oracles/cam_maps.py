"""Class activation maps by loops and by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def group_score(logits: Sequence[float], group: Sequence[int]) -> float:
    """log of the sum of exponentials of the group's logits."""
    return math.log(sum(math.exp(logits[output]) for output in group))


def cam_of_pooled_linear(features: Array, weight: Array, bias: Array, group: Sequence[int]) -> Array:
    """(C, h, w), (O, C), (O,) -> (h, w): each output's weighted sum, mixed by its share in the group."""
    channels, height, width = features.shape
    pooled = [sum(features[c].ravel().tolist()) / (height * width) for c in range(channels)]
    logits = [sum(weight[o, c] * pooled[c] for c in range(channels)) + bias[o] for o in range(len(weight))]
    total = sum(math.exp(logits[o]) for o in group)
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for output in group:
                evidence = sum(weight[output, c] * features[c, y, x] for c in range(channels))
                found[y, x] += math.exp(logits[output]) / total * evidence
    return found


def grad_cam_by_differences(score: Callable[[Array], float], activation: Array, step: float = 1e-5) -> Array:
    """(C, h, w) float64 -> (h, w): weight of a channel = sum over its positions of the score's slope there."""
    channels, height, width = activation.shape
    found = np.zeros((height, width))
    for c in range(channels):
        slope = 0.0
        for y in range(height):
            for x in range(width):
                up, down = activation.copy(), activation.copy()
                up[c, y, x] += step
                down[c, y, x] -= step
                slope += (score(up) - score(down)) / (2 * step)
        found += slope * activation[c]
    return found
