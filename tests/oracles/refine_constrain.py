"""Slow, literal form of SEC's constrain loss: one image, one pixel and one label at a time, in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def constrain(
    probabilities: NDArray[np.float64], refined: NDArray[np.float64], ratios: tuple[float, float] | None = None
) -> float:
    """Mean over images and pixels of sum_c q log(q / p); arrays (B, L, H, W)."""
    batch, labels, height, width = probabilities.shape
    total = 0.0
    for image, y, x in np.ndindex(batch, height, width):
        raised = [max(float(refined[image, label, y, x]), 1e-4) for label in range(labels)]
        for label in range(labels):
            target = raised[label] / sum(raised)
            ratio = target / float(probabilities[image, label, y, x])
            if ratios is not None:
                ratio = min(max(ratio, ratios[0]), ratios[1])
            total += target * math.log(ratio)
    return total / (batch * height * width)
