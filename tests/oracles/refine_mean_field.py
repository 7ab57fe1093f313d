"""Literal dense CRF: the lattice with a dictionary and loops, all pairs of pixels, and mean field on any operator."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

Vertex = tuple[int, ...]


def scale_features(image: np.ndarray, sxy: float, schan: float | None) -> np.ndarray:
    """(N, d) float64: x / sxy, y / sxy and the channels / schan of image (H, W, C)."""
    height, width = image.shape[:2]
    rows = []
    for y in range(height):
        for x in range(width):
            colours = [] if schan is None else [float(value) / schan for value in image[y, x]]
            rows.append([x / sxy, y / sxy, *colours])
    return np.array(rows)


def locate(feature: np.ndarray) -> list[tuple[Vertex, float]]:
    """The d + 1 vertices around a feature and their barycentric weights (Adams, Baek and Davis 2010, section 3)."""
    d = len(feature)
    deviation = math.sqrt(2 / 3) * (d + 1)
    scaled = [float(feature[i]) * deviation / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    point = [sum(scaled[j] for j in range(i, d)) - (i * scaled[i - 1] if i else 0) for i in range(d + 1)]
    nearest = [round(value / (d + 1)) * (d + 1) for value in point]
    excess = sum(nearest) // (d + 1)
    rest = [point[i] - nearest[i] for i in range(d + 1)]
    order = sorted(range(d + 1), key=lambda i: -rest[i])
    for i in order[d + 1 - excess :] if excess > 0 else []:
        nearest[i] -= d + 1
    for i in order[: -excess if excess < 0 else 0]:
        nearest[i] += d + 1
    rest = [point[i] - nearest[i] for i in range(d + 1)]
    order = sorted(range(d + 1), key=lambda i: -rest[i])
    corners = []
    for remainder in range(d + 1):
        vertex = [nearest[i] + remainder for i in range(d + 1)]
        for i in order[d + 1 - remainder :]:
            vertex[i] -= d + 1
        if remainder == 0:
            weight = 1 - (rest[order[0]] - rest[order[d]]) / (d + 1)
        else:
            weight = (rest[order[d - remainder]] - rest[order[d + 1 - remainder]]) / (d + 1)
        corners.append((tuple(vertex), weight))
    return corners


def filter_by_lattice(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (N,) splat, blurred along each axis (1/2, 1, 1/2) and sliced; with the vertices of 0 unless 4 | N."""
    count, d = features.shape
    places = [locate(feature) for feature in features]
    lattice: dict[Vertex, float] = defaultdict(float)
    for corners, value in zip(places, values, strict=True):
        for vertex, weight in corners:
            lattice[vertex] += weight * value
    if count % 4:
        for vertex, _ in locate(np.zeros(d)):
            lattice[vertex] += 0.0
    for axis in range(d + 1):
        blurred = {}
        for vertex, value in lattice.items():
            back = tuple(v - 1 + (d + 1) * (i == axis) for i, v in enumerate(vertex))
            forth = tuple(v + 1 - (d + 1) * (i == axis) for i, v in enumerate(vertex))
            blurred[vertex] = value + (lattice.get(back, 0.0) + lattice.get(forth, 0.0)) / 2
        lattice = defaultdict(float, blurred)
    norm = 1 / (1 + 2.0**-d)
    return np.array([norm * sum(weight * lattice[vertex] for vertex, weight in corners) for corners in places])


def make_lattice_operator(features: np.ndarray) -> np.ndarray:
    """(N, N): the lattice filter, one unit vector at a time, divided by the roots of its row sums on both sides."""
    raw = np.stack([filter_by_lattice(features, unit) for unit in np.eye(len(features))], axis=1)
    return normalise(raw, filter_by_lattice(features, np.ones(len(features))))


def make_exact_operator(features: np.ndarray) -> np.ndarray:
    """(N, N): exp(-|f - f'|^2 / 2) of all pairs, a pixel with itself included, divided likewise."""
    squares = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    raw = np.exp(-squares / 2)
    return normalise(raw, raw.sum(axis=1))


def normalise(raw: np.ndarray, sums: np.ndarray) -> np.ndarray:
    root = np.sqrt(sums)
    return raw / root[:, None] / root[None]


def infer(unary: np.ndarray, operators: list[np.ndarray], costs: list[np.ndarray], iterations: int) -> np.ndarray:
    """Q (L, H, W): pixel i pays costs[l, m] * K[i, j] * Q_j(m) for label l, K being `operators` and costs (L, L)."""
    labels = len(unary)
    energy = unary.reshape(labels, -1).astype(np.float64)
    current = softmax(-energy)
    for _ in range(iterations):
        logits = -energy
        for operator, cost in zip(operators, costs, strict=True):
            for label in range(labels):
                for other in range(labels):
                    logits[label] -= cost[label, other] * (operator @ current[other])
        current = softmax(logits)
    return current.reshape(unary.shape)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)
