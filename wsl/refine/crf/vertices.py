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

    All coordinates of a vertex leave the same remainder r when divided by d + 1; let q be their quotients. Digits of
    the key, the most significant first: q0 + q1 - 2 q2 (q0 + q1 where d = 2) and q0 - q1, which are y and x of the
    image in steps of the lattice, whatever the colour; then q2, ... and r. So what is near in the image is near in the
    order of keys, and so in memory. lows, sides: the least value and the number of values of each digit but r.
    largest: the largest coordinate, absolute; widest: the feature that does most for it.
    """

    lows: tuple[int, ...]
    sides: tuple[int, ...]
    largest: float
    widest: int

    @property
    def places(self) -> tuple[int, ...]:
        """What one step of each digit but r adds to the key; for r it is 1."""
        places = [len(self.sides) + 1]
        for side in self.sides[:0:-1]:
            places.insert(0, places[0] * side)
        return tuple(places)

    @property
    def strides(self) -> tuple[int, ...]:
        """What one step of each of the d + 1 quotients adds to the key; 0 for the last, which the others determine."""
        down, across, *others = self.places
        strides = [down + across, down - across, *others, 0]
        strides[2] -= 2 * down if others else 0
        return tuple(strides)

    @property
    def origin(self) -> int:
        """What the digits add up to at their least values."""
        return sum(low * place for low, place in zip(self.lows, self.places, strict=True))

    @property
    def volume(self) -> int:
        """Number of keys."""
        return self.places[0] * self.sides[0]

    @property
    def bits(self) -> int:
        """How many bits a key needs."""
        return self.volume.bit_length()


def fit_grid(features: Floats) -> Grid:
    """The grid that holds the vertices of all features (d, N) and of the zero vector, by their smallest and largest."""
    dimension = len(features)
    scales = compute_scales(dimension).astype(np.float64)
    low = np.minimum(features.min(axis=1), 0) * scales
    high = np.maximum(features.max(axis=1), 0) * scales
    ends = [(low.sum(), high.sum())]
    ends += [(low[n:].sum() - n * high[n - 1], high[n:].sum() - n * low[n - 1]) for n in range(1, dimension + 1)]
    largest = float(np.abs(ends).max())
    # The combinations of coordinates that y and x stand for leave one feature each, times these factors.
    down, across = 6 if dimension > 2 else 2, 2
    ranges = [(down * low[1], down * high[1]), (across * low[0], across * high[0]), *ends[2:dimension]]
    # 2 of a quotient to spare on each side: rounding, bringing back to the plane, the corners of a simplex and their
    # neighbours; y and x add up 4 (2 where d = 2) and 2 of them
    spare = [12 if dimension > 2 else 6, 6, *[3] * (dimension - 2)]
    floors = [int(np.floor(value / (dimension + 1))) - more for (value, _), more in zip(ranges, spare, strict=True)]
    tops = [int(np.ceil(value / (dimension + 1))) + more for (_, value), more in zip(ranges, spare, strict=True)]
    sides = tuple(top - floor for top, floor in zip(tops, floors, strict=True))
    return Grid(tuple(floors), sides, largest, int(np.maximum(-low, high).argmax()))


def join_vertices(simplices: Simplices, grid: Grid) -> tuple[Indices, Indices, Indices]:
    """(corners (N, d + 1), after (d + 1, M + 1), before (d + 1, M + 1)); see `Lattice`, but for the order of axes."""
    if grid.bits > MOST_BITS:
        return _join_wide(simplices)
    dimension = len(simplices.steps)
    strides = np.array(grid.strides[:-1], np.int64)
    base = strides @ simplices.steps - grid.origin
    keys = np.empty((base.size, dimension + 1), np.int64)
    for corner in range(dimension + 1):
        above = simplices.ranks[:-1] > dimension - corner
        keys[:, corner] = base - strides @ above + corner
    known, corners = np.unique(keys, return_inverse=True)
    return _as_indices(corners.reshape(keys.shape)), *_link(known, grid)


def _link(keys: Counts, grid: Grid) -> tuple[Indices, Indices]:
    """Neighbours of sorted keys: +1 in all coordinates, which is a step in the one that then loses d + 1."""
    strides, last = grid.strides, len(grid.sides)
    following = np.where(keys % (last + 1) == last, sum(strides) - last, 1)
    after = np.full((last + 1, len(keys) + 1), len(keys), np.uint32)
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
