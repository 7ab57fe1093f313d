"""Slow, literal PAR: one pixel and one neighbour at a time, float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.oracles.refine_pamr import spread


def _softmax(values: list[float]) -> list[float]:
    powers = [float(np.exp(value - max(values))) for value in values]
    return [power / sum(powers) for power in powers]


def par_weights(image: NDArray[np.generic], y: int, x: int, dilations: tuple[int, ...]) -> dict[tuple[int, int], float]:
    """Weights of one pixel's neighbours by (dy, dx); image (H, W, C) in 0..255, edges repeated."""
    height, width = image.shape[:2]
    values = image.astype(np.float64)
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    offsets = [(dy * step, dx * step) for step in dilations for dy, dx in steps]
    neighbours = np.array(
        [values[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)] for dy, dx in offsets]
    )
    deviation = np.std(neighbours, axis=0, ddof=1)
    looks = [float(np.mean(-((np.abs(each - values[y, x]) / (deviation + 1e-8) / 0.3) ** 2))) for each in neighbours]
    lengths = [step * (np.sqrt(2) if dy and dx else 1.0) for step in dilations for dy, dx in steps]
    spread_of_lengths = np.std(lengths, ddof=1)
    places = [float(-((length / (spread_of_lengths + 1e-8) / 0.3) ** 2)) for length in lengths]
    both = zip(_softmax(looks), _softmax(places), strict=True)
    return {offset: look + 0.01 * place for offset, (look, place) in zip(offsets, both, strict=True)}


def par(
    image: NDArray[np.generic], planes: NDArray[np.float32], iterations: int, dilations: tuple[int, ...]
) -> NDArray[np.float64]:
    """PAR of planes (L, H, W) on image (H, W, C)."""
    places = list(np.ndindex(*image.shape[:2]))
    return spread(planes, {place: par_weights(image, *place, dilations) for place in places}, iterations)
