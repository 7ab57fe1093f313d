"""The dense CRF over all pairs of pixels, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
