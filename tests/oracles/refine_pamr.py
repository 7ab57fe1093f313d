"""Slow, literal PAMR: one pixel and one neighbour at a time, float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pamr_weights(
    image: NDArray[np.generic], y: int, x: int, dilations: tuple[int, ...]
) -> dict[tuple[int, int], float]:
    """Weights of one pixel's neighbours by (dy, dx); image (H, W, C) in 0..255, edges repeated."""
    height, width = image.shape[:2]
    scaled = image.astype(np.float64) / 255

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        return scaled[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]

    samples, logits = [], {}
    for step in dilations:
        samples += [at(dy * step, dx * step) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    deviation = np.std(np.array(samples), axis=0, ddof=1)
    for step in dilations:
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if (dy, dx) != (0, 0):
                    distance = np.abs(at(0, 0) - at(dy * step, dx * step))
                    logits[dy * step, dx * step] = float(np.mean(-distance / (1e-8 + 0.1 * deviation)))
    total = sum(np.exp(value) for value in logits.values())
    return {offset: float(np.exp(value)) / total for offset, value in logits.items()}


def spread(
    planes: NDArray[np.float32], weights: dict[tuple[int, int], dict[tuple[int, int], float]], iterations: int
) -> NDArray[np.float64]:
    """Planes (L, H, W) after `iterations` weighted sums over the neighbours of each pixel, edges repeated."""
    _, height, width = planes.shape
    current = planes.astype(np.float64)
    for _ in range(iterations):
        following = np.zeros_like(current)
        for (y, x), neighbours in weights.items():
            for (dy, dx), weight in neighbours.items():
                ny, nx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                following[:, y, x] += weight * current[:, ny, nx]
        current = following
    return current


def pamr(
    image: NDArray[np.generic], planes: NDArray[np.float32], iterations: int, dilations: tuple[int, ...]
) -> NDArray[np.float64]:
    """PAMR of planes (L, H, W) on image (H, W, C)."""
    places = list(np.ndindex(*image.shape[:2]))
    return spread(planes, {place: pamr_weights(image, *place, dilations) for place in places}, iterations)
