"""How many of a list of levels does a score exceed? Exact, and quicker than a binary search per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BUCKETS = 4096  # a power of two, so that value * _BUCKETS is exact
_MOST_STEPS = 4  # with more levels than this in one bucket a binary search is quicker


class LevelSearch:
    """For a fixed list of `levels`, float32 (L,), ascending, different.

    A level is found by its bucket of width 1/4096 and a step or two from the first level of that bucket on. The bucket
    only says where to begin, the comparisons are with the float32 levels themselves: nothing is rounded.
    """

    def __init__(self, levels: NDArray[np.float32]) -> None:
        self.levels = levels
        edges = np.arange(_BUCKETS + 1, dtype=np.float32) / np.float32(_BUCKETS)
        self.first = np.searchsorted(levels, edges, side="left")  # no value of the bucket is at or below these
        self.closed = np.append(levels, np.float32(np.inf)).astype(np.float32)
        self._steps = int(np.diff(self.first, append=len(levels)).max())

    def find_exceeded(self, values: NDArray[np.float32]) -> NDArray[np.intp]:
        """Number of levels below each value: searchsorted(levels, values, "left")."""
        if self._steps > _MOST_STEPS:
            return np.searchsorted(self.levels, values, side="left")
        bucket = (np.clip(values, 0, 1) * np.float32(_BUCKETS)).astype(np.intp)
        exceeded = np.take(self.first, bucket, mode="clip")  # NumPy checks every index in the other modes
        for _ in range(self._steps):
            exceeded += np.take(self.closed, exceeded, mode="clip") < values
        return exceeded
