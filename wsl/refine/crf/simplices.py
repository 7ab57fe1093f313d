"""Where features lie in the permutohedral lattice (Adams, Baek and Davis 2010), in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Simplices:
    """The simplex around each feature vector: d + 1 corners, of which corner r has coordinates = r (mod d + 1).

    steps: int64 (d, N), coordinates of corner 0 over d + 1. ranks: int64 (d + 1, N), place of each coordinate's
    remainder among all, the largest being 0. weights: float32 (d + 1, N), barycentric, of corner 0, 1, ... .
    """

    steps: Counts
    ranks: Counts
    weights: Floats

    def find_corner(self, corner: int) -> Counts:
        """int64 (d, N): coordinates of a corner, less `corner`, over d + 1. The last one follows from the sum 0."""
        return self.steps - (self.ranks[:-1] > len(self.steps) - corner)


def compute_scales(dimension: int) -> Floats:
    """float32 (d,): what each feature is multiplied by, so that the blur of the lattice has a deviation of 1."""
    deviation = np.float32(np.sqrt(2 / 3) * (dimension + 1))
    steps = np.arange(1, dimension + 1)
    return (1 / np.sqrt((steps + 1.0) * steps) * deviation).astype(np.float32)


def elevate(features: Floats) -> Floats:
    """float32 (d + 1, N): features (d, N) on the hyperplane whose coordinates sum to 0."""
    dimension = len(features)
    scaled = features * compute_scales(dimension)[:, None]
    elevated = np.empty((dimension + 1, features.shape[1]), np.float32)
    total = np.zeros(features.shape[1], np.float32)
    for axis in range(dimension, 0, -1):
        elevated[axis] = total - np.float32(axis) * scaled[axis - 1]
        total += scaled[axis - 1]
    elevated[0] = total
    return elevated


def find_simplices(features: Floats) -> Simplices:
    """Simplices of features float32 (d, N), in float32 arithmetic as pydensecrf does it."""
    elevated = elevate(features)
    corners = np.float32(len(elevated))
    steps = np.rint(elevated * np.float32(1 / corners))
    rests = elevated - steps * corners
    ranks = _rank(rests)
    # A point whose rounded coordinates do not sum to 0 is brought back to the plane.
    ranks += steps.sum(axis=0).astype(np.int64)
    moved = (ranks < 0).astype(np.int64) - (ranks >= len(elevated))
    ranks += moved * len(elevated)
    steps += moved
    rests = (elevated - steps * corners) * np.float32(1 / corners)
    return Simplices(steps[:-1].astype(np.int64), ranks, _weigh(rests, ranks))


def _rank(rests: Floats) -> Counts:
    """Number of coordinates with a larger rest; of equal ones the first counts as larger."""
    ranks = np.zeros(rests.shape, np.int64)
    for first in range(len(rests)):
        for second in range(first + 1, len(rests)):
            below = rests[first] < rests[second]
            ranks[first] += below
            ranks[second] += ~below
    return ranks


def _weigh(rests: Floats, ranks: Counts) -> Floats:
    ordered = np.empty_like(rests)
    np.put_along_axis(ordered, ranks, rests, axis=0)
    weights = np.empty_like(rests)
    weights[0] = ordered[-1] + (np.float32(1) - ordered[0])
    weights[1:] = (ordered[:-1] - ordered[1:])[::-1]
    return weights
