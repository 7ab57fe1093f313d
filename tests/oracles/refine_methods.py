"""Slow, literal references for the refiners: loops over pixels and neighbours, all pairs for the dense CRF."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.oracles.localize_components import flood_components


def pamr_weights(image: NDArray[np.uint8], y: int, x: int, dilations: tuple[int, ...]) -> dict[tuple[int, int], float]:
    """Weights of one pixel's neighbours by (dy, dx), the image in [0, 1], edges repeated."""
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


def pamr(
    image: NDArray[np.uint8], evidence: NDArray[np.float32], iterations: int, dilations: tuple[int, ...]
) -> NDArray[np.float64]:
    """PAMR in float64, one pixel and one neighbour at a time."""
    height, width = image.shape[:2]
    weights = {(y, x): pamr_weights(image, y, x, dilations) for y in range(height) for x in range(width)}
    current = evidence.astype(np.float64)
    for _ in range(iterations):
        following = np.zeros_like(current)
        for (y, x), neighbours in weights.items():
            for (dy, dx), weight in neighbours.items():
                ny, nx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                following[:, y, x] += weight * current[:, ny, nx]
        current = following
    return current


def grow(
    seeds: NDArray[np.intp], probabilities: NDArray[np.float32], foreground: float, background: float
) -> NDArray[np.intp]:
    """Seeded region growing with a flood fill for each region."""
    wanted = seeds.copy()
    for y, x in np.ndindex(*seeds.shape):
        pixel = probabilities[:, y, x]
        best = int(np.argmax(pixel))
        if pixel[best] > np.float32(background if best == 0 else foreground):
            wanted[y, x] = best
    grown = seeds.copy()
    for channel in range(len(probabilities)):
        for region in flood_components(wanted == channel, 8):
            if any(seeds[place] == channel for place in region):
                for place in region:
                    if seeds[place] == -1:
                        grown[place] = channel
    return grown


def all_pairs_kernel(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-|f_i - f_j|^2 / 2) with symmetric normalisation, for features (N, D)."""
    kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(-1))
    norm = 1 / np.sqrt(kernel.sum(1))
    return kernel * norm[:, None] * norm[None]


def mean_field(
    image: NDArray[np.uint8],
    unary: NDArray[np.float64],
    iterations: int,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
) -> NDArray[np.float64]:
    """Exact dense CRF: gaussian = (sxy, compat), bilateral = (sxy, srgb, compat). Returns Q (L, H, W)."""
    labels, height, width = unary.shape
    place = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    kernel = gaussian[1] * all_pairs_kernel(place / gaussian[0])
    kernel += bilateral[2] * all_pairs_kernel(np.hstack([place / bilateral[0], colour / bilateral[1]]))
    energy = unary.reshape(labels, -1)

    def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.exp(logits - logits.max(0))
        return powers / powers.sum(0)

    field = softmax(-energy)
    for _ in range(iterations):
        field = softmax(-energy + field @ kernel)
    return field.reshape(labels, height, width)
