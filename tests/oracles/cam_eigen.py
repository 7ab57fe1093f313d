"""EigenCAM, KPCA-CAM and FEM, literally: singular vectors of the whole matrix, kernels and shares by loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def centred_points(values: Array) -> Array:
    """(C, h, w) -> (h * w, C), each channel with mean 0."""
    points = np.array([[channel[y, x] for channel in values] for y, x in np.ndindex(*values.shape[1:])], np.float64)
    return points - points.mean(0)


def first_component(values: Array) -> Array:
    """(C, h, w) -> (h, w), of arbitrary sign."""
    points = centred_points(values)
    _, _, axes = np.linalg.svd(points, full_matrices=True)
    return (points @ axes[0]).reshape(values.shape[1:])


def kernel_component(values: Array, gamma: float | None = None) -> Array:
    """(C, h, w) -> (h, w), of arbitrary sign."""
    points = centred_points(values)
    count, width = points.shape
    gamma = 1 / width if gamma is None else gamma
    kernel = np.array([[math.tanh(gamma * float(a @ b) + 1) for b in points] for a in points])
    centring = np.eye(count) - np.full((count, count), 1 / count)
    sizes, vectors = np.linalg.eigh(centring @ kernel @ centring)
    return (vectors[:, -1] * math.sqrt(max(sizes[-1], 0))).reshape(values.shape[1:])


def like_mean(component: Array, values: Array) -> Array:
    """With the sign that correlates with the mean of the channels."""
    return component * np.sign(np.corrcoef(component.ravel(), values.mean(0).ravel())[0, 1])


def fem(values: Array, deviations: float = 2.0) -> Array:
    """(C, h, w) -> (h, w)."""
    found = np.zeros(values.shape[1:])
    for channel in values:
        mean = sum(channel.ravel()) / channel.size
        spread = math.sqrt(sum((value - mean) ** 2 for value in channel.ravel()) / channel.size)
        rare = [value for value in channel.ravel() if value > mean + deviations * spread]
        found += len(rare) / channel.size * channel
    return found
