"""Differences of features, compiled. Reached through `wsl.compiled.load_compiled`; see `features`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The channels may be summed in any order, so that several go at once.
_compile = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


@_compile
def sum_differences(features: Floats, offsets: NDArray[np.int64]) -> Floats:
    """float32 (M, h, w): sum over channels of |f_i - f_j|, j the neighbour at offsets[m]; 0 if outside the grid.

    features: float32 (h, w, C), contiguous. offsets: int64 (M, 2) as (dy, dx).
    """
    height, width, _ = features.shape
    sums = np.zeros((len(offsets), height, width), np.float32)
    for y in range(height):
        for index in range(len(offsets)):
            dy, dx = offsets[index]
            if y + dy < height:
                for x in range(max(0, -dx), min(width, width - dx)):
                    sums[index, y, x] = _distance(features[y, x], features[y + dy, x + dx])
    return sums


@_compile
def _distance(first: Floats, second: Floats) -> np.float32:
    total = np.float32(0)
    for channel in range(len(first)):
        total += abs(first[channel] - second[channel])
    return total
