"""Numbers for the vertices of the lattice that are in use, and their neighbours, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Counts, Floats, Simplices, compute_scales

Indices = NDArray[np.uint32]

MOST_BITS = 62


@dataclass(frozen=True)
class Grid:
    """A box around all vertices and their neighbours, so that one whole number (a key) can stand for each.

    All coordinates of a vertex leave the same remainder r when divided by d + 1, so the key holds r and the d
    quotients, r being the most significant. lows: the least quotient per coordinate. sides: how many there are.
    largest: the largest coordinate, absolute; widest: the feature that does most for it.
    """

    lows: tuple[int, ...]
    sides: tuple[int, ...]
    largest: float
    widest: int

    @property
    def strides(self) -> tuple[int, ...]:
        """What one step of each coordinate adds to the key; 0 for the last one, which the others determine."""
        strides = [1]
        for side in self.sides[:0:-1]:
            strides.insert(0, strides[0] * side)
        return (*strides, 0)

    @property
    def volume(self) -> int:
        """Number of keys of one remainder."""
        return self.strides[0] * self.sides[0]

    @property
    def bits(self) -> int:
        """How many bits a key needs."""
        return int(self.volume * (len(self.sides) + 1)).bit_length()

    def as_arrays(self) -> tuple[Counts, Counts, int]:
        """(lows, strides, volume) for compiled loops; only where a key fits 62 bits."""
        return np.array(self.lows, np.int64), np.array(self.strides, np.int64), self.volume


def fit_grid(features: Floats) -> Grid:
    """The grid that holds the vertices of all features (d, N) and of the zero vector, by their smallest and largest."""
    scales = compute_scales(len(features)).astype(np.float64)
    low = np.minimum(features.min(axis=1), 0) * scales
    high = np.maximum(features.max(axis=1), 0) * scales
    lows, highs = [], []
    for axis in range(len(features)):
        own = (-axis * high[axis - 1], -axis * low[axis - 1]) if axis else (0.0, 0.0)
        lows.append(own[0] + low[axis:].sum())
        highs.append(own[1] + high[axis:].sum())
    last = len(features) * max(abs(low[-1]), abs(high[-1]))
    largest = float(max(last, -min(lows), max(highs)))
    # 2 to spare on each side: rounding, bringing back to the plane, the corners of a simplex and their neighbours
    corners = len(features) + 1
    floors = [int(np.floor(value / corners)) - 3 for value in lows]
    sides = [int(np.ceil(value / corners)) + 3 - floor for value, floor in zip(highs, floors, strict=True)]
    return Grid(tuple(floors), tuple(sides), largest, int(np.maximum(-low, high).argmax()))


def join_vertices(simplices: Simplices, grid: Grid) -> tuple[Indices, Indices, Indices]:
    """(corners (N, d + 1), after (d + 1, M + 1), before (d + 1, M + 1)); see `Lattice`."""
    if grid.bits > MOST_BITS:
        return _join_wide(simplices)
    dimension = len(simplices.steps)
    strides = np.array(grid.strides[:-1], np.int64)
    base = strides @ (simplices.steps - np.array(grid.lows)[:, None])
    keys = np.empty((base.size, dimension + 1), np.int64)
    for corner in range(dimension + 1):
        above = simplices.ranks[:-1] > dimension - corner
        keys[:, corner] = base - strides @ above + corner * grid.volume
    known, corners = np.unique(keys, return_inverse=True)
    return _as_indices(corners.reshape(keys.shape)), *_link(known, grid)


def _link(keys: Counts, grid: Grid) -> tuple[Indices, Indices]:
    """Neighbours of sorted keys: +1 in all coordinates, which is a step in the one that then loses d + 1."""
    strides, corners = grid.strides, len(grid.strides)
    is_last = keys >= (corners - 1) * grid.volume
    following = np.where(is_last, sum(strides) - (corners - 1) * grid.volume, grid.volume)
    after = np.full((corners, len(keys) + 1), len(keys), np.uint32)
    for axis, stride in enumerate(strides):
        wanted = keys + following - stride
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[place] == wanted
        after[axis, :-1][found] = place[found]
    return after, _reverse(after)


def _reverse(after: Indices) -> Indices:
    missing = after.shape[1] - 1
    before = np.full(after.shape, missing, np.uint32)
    for axis, following in enumerate(after):
        before[axis, following] = np.arange(missing + 1)
    before[:, missing] = missing
    return before


def _join_wide(simplices: Simplices) -> tuple[Indices, Indices, Indices]:
    """The same for coordinates that no key can hold: slow, whatever the number of channels."""
    dimension = len(simplices.steps)
    rows = [corner + (dimension + 1) * simplices.find_corner(corner).T for corner in range(dimension + 1)]
    places: Any = np.stack(rows, axis=1).reshape(-1, dimension)
    known, corners = np.unique(places, axis=0, return_inverse=True)
    after = np.full((dimension + 1, len(known) + 1), len(known), np.uint32)
    for axis in range(dimension + 1):
        step = np.ones(dimension, np.int64)
        step[axis : axis + 1] -= dimension + 1
        _, both = np.unique(np.concatenate([known, known + step]), axis=0, return_inverse=True)
        name = np.full(both.max() + 1, len(known), np.uint32)
        name[both.ravel()[: len(known)]] = np.arange(len(known))
        after[axis, :-1] = name[both.ravel()[len(known) :]]
    return _as_indices(corners.reshape(-1, dimension + 1)), after, _reverse(after)


def _as_indices(values: NDArray[np.intp]) -> Indices:
    return np.ascontiguousarray(values, np.uint32)
