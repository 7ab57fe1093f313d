"""Literal forms of the guided filter and of the mean over superpixels: windows and regions, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def guided_filter(guide: NDArray[np.float64], plane: NDArray[np.float64], radius: int, epsilon: float) -> np.ndarray:
    """He et al. 2013, equations 14 to 16: guide (C, H, W), plane (H, W); a window for each pixel, cut at the border."""
    channels, height, width = guide.shape
    slopes, offsets = np.zeros((height, width, channels)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            rows, columns = _window(y, x, radius, height, width)
            inside = guide[:, rows, columns].reshape(channels, -1)
            values = plane[rows, columns].ravel()
            covariance = np.cov(inside, bias=True).reshape(channels, channels) + epsilon * np.eye(channels)
            joint = (inside * values).mean(axis=1) - inside.mean(axis=1) * values.mean()
            slopes[y, x] = np.linalg.solve(covariance, joint)
            offsets[y, x] = values.mean() - slopes[y, x] @ inside.mean(axis=1)
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            rows, columns = _window(y, x, radius, height, width)
            slope = slopes[rows, columns].reshape(-1, channels).mean(axis=0)
            out[y, x] = slope @ guide[:, y, x] + offsets[rows, columns].mean()
    return out


def _window(y: int, x: int, radius: int, height: int, width: int) -> tuple[slice, slice]:
    rows = slice(max(0, y - radius), min(height, y + radius + 1))
    return rows, slice(max(0, x - radius), min(width, x + radius + 1))


def average_regions(evidence: NDArray[np.float32], regions: NDArray[np.intp]) -> np.ndarray:
    out = np.zeros_like(evidence)
    for plane, target in zip(evidence, out, strict=True):
        for y, x in np.ndindex(regions.shape):
            target[y, x] = np.mean([plane[p] for p in np.ndindex(regions.shape) if regions[p] == regions[y, x]])
    return out


def random_walk_probabilities(grey: NDArray[np.float64], marks: NDArray[np.intp], beta: float) -> np.ndarray:
    """Grady 2006 as scikit-image weighs it: the Dirichlet problem on the grid, solved densely; marks -1 = unknown."""
    height, width = grey.shape
    index = {place: number for number, place in enumerate(np.ndindex(height, width))}
    laplace = np.zeros((height * width,) * 2)
    scale = beta / (10 * grey.std())
    for (y, x), here in index.items():
        for place in ((y, x + 1), (y + 1, x)):
            if place in index:
                weight = np.exp(-scale * (grey[y, x] - grey[place]) ** 2) + 1e-10
                there = index[place]
                laplace[here, there] = laplace[there, here] = -weight
                laplace[here, here] += weight
                laplace[there, there] += weight
    flat = marks.ravel()
    free, fixed = np.flatnonzero(flat < 0), np.flatnonzero(flat >= 0)
    labels = np.unique(flat[fixed])
    out = np.zeros((len(labels), height * width))
    for row, label in enumerate(labels):
        out[row, fixed] = flat[fixed] == label
        out[row, free] = np.linalg.solve(
            laplace[np.ix_(free, free)], -laplace[np.ix_(free, fixed)] @ (flat[fixed] == label).astype(float)
        )
    return out.reshape(-1, height, width)
