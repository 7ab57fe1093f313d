"""Slow, literal references for random walks: all pairs of cells in float64, the dense matrix power."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pairs(size: tuple[int, int], radius: int) -> list[tuple[int, int, int, int]]:
    """(y, x, v, u) of all ordered pairs of different cells nearer than the radius."""
    height, width = size
    cells = [(y, x) for y in range(height) for x in range(width)]
    return [(y, x, v, u) for y, x in cells for v, u in cells if 0 < (v - y) ** 2 + (u - x) ** 2 < radius**2]


def distance_to_line(y: int, x: int, dy: int, dx: int) -> float:
    """Of a point to the line through the origin and (dy, dx)."""
    return abs(dy * x - dx * y) / math.hypot(dy, dx)


def path_affinity(edges: NDArray[np.floating], radius: int) -> Matrix:
    """(N, N): 1 - strongest edge within one cell of the straight line, inside the box of the two ends."""
    height, width = edges.shape
    matrix = np.eye(height * width)
    for y, x, v, u in pairs(edges.shape, radius):
        strongest = 0.0
        for row in range(min(y, v), max(y, v) + 1):
            for column in range(min(x, u), max(x, u) + 1):
                if distance_to_line(row - y, column - x, v - y, u - x) < 1 - 1e-9:
                    strongest = max(strongest, float(edges[row, column]))
        matrix[y * width + x, v * width + u] = 1 - strongest
    return matrix


def feature_affinity(features: NDArray[np.floating], radius: int, published: bool = False) -> Matrix:
    """(N, N): exp(-mean |f_i - f_j|); published: only pairs whose upper (then left) cell is off the borders."""
    _, height, width = features.shape
    matrix = np.eye(height * width)
    for y, x, v, u in pairs((height, width), radius):
        source_y, source_x = min((y, x), (v, u))
        margin = radius - 1
        inside = source_y < height - margin and margin <= source_x < width - margin
        if inside or not published:
            differences = [abs(float(one[y, x]) - float(one[v, u])) for one in features]
            matrix[y * width + x, v * width + u] = math.exp(-sum(differences) / len(differences))
    return matrix


def colour_affinity(features: NDArray[np.floating], radius: int, sigma: float) -> Matrix:
    """(N, N): exp(-mean (f_i - f_j)^2 / (2 sigma^2))."""
    _, height, width = features.shape
    matrix = np.eye(height * width)
    for y, x, v, u in pairs((height, width), radius):
        squares = [(float(one[y, x]) - float(one[v, u])) ** 2 for one in features]
        matrix[y * width + x, v * width + u] = math.exp(-sum(squares) / len(squares) / (2 * sigma**2))
    return matrix


def dense_walk(vectors: NDArray[np.floating], matrix: Matrix, beta: float, times: int) -> Matrix:
    """(K, h, w): v P^(2^times), P = A^beta / column sums squared `times` times, as published."""
    transition = matrix.astype(np.float64) ** beta
    transition = transition / transition.sum(axis=0, keepdims=True)
    for _ in range(times):
        transition = transition @ transition
    return (vectors.reshape(len(vectors), -1).astype(np.float64) @ transition).reshape(vectors.shape)


def gradient_edges(features: NDArray[np.floating]) -> Matrix:
    """Scharr slopes (3, 10, 3 against -1, 0, 1; sum 32), steepest channel, over their 98th percentile or 2."""
    _, height, width = features.shape
    slopes = np.zeros((height, width))
    for channel in features:
        for y, x in np.ndindex(height, width):

            def at(row: int, column: int, channel: NDArray[np.floating] = channel) -> float:
                return float(channel[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

            across = sum(w * (at(y + d, x + 1) - at(y + d, x - 1)) for d, w in ((-1, 3), (0, 10), (1, 3)))
            down = sum(w * (at(y + 1, x + d) - at(y - 1, x + d)) for d, w in ((-1, 3), (0, 10), (1, 3)))
            slopes[y, x] = max(slopes[y, x], math.hypot(across, down) / 32)
    return np.minimum(slopes / max(float(np.percentile(slopes, 98)), 2.0), 1)


def attention_affinity(attention: NDArray[np.floating], last: int, rounds: int) -> Matrix:
    """(N, N): mean of the last layers, columns then rows divided by their sums, averaged with the transpose."""
    matrix = np.mean([layer.astype(np.float64) for layer in attention][-last:], axis=0)
    for _ in range(rounds):
        for column in range(len(matrix)):
            matrix[:, column] = matrix[:, column] / matrix[:, column].sum()
        for row in range(len(matrix)):
            matrix[row] = matrix[row] / matrix[row].sum()
    return (matrix + matrix.T) / 2
