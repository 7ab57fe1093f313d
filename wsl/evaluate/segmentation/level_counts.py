"""How many levels does the best score of a pixel exceed? Counted per (true class, best class): a sweep's inner loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.evaluate.segmentation.confusion import Counts
from wsl.types import LabelMap, Scores

_BUCKETS = 4096  # a power of two, so that value * _BUCKETS is exact
_MOST_STEPS = 4  # with more levels than this in one bucket a binary search is quicker


class LevelCounter:
    """Counts for a fixed list of `levels`, float32 (L,), ascending, different, in [0, 1].

    A level is found by its bucket of width 1/4096 and a step or two from the first level of that bucket on. The bucket
    only says where to begin, the comparisons are with the float32 levels themselves: nothing is rounded.
    """

    def __init__(self, levels: NDArray[np.float32]) -> None:
        self.levels = levels
        edges = np.arange(_BUCKETS + 1, dtype=np.float32) / np.float32(_BUCKETS)
        self._first = np.searchsorted(levels, edges, side="left")  # no value of the bucket is at or below these
        self._closed = np.append(levels, np.float32(np.inf)).astype(np.float32)
        self._steps = int(np.diff(self._first, append=len(levels)).max())

    def count(self, scores: Scores, ground_truth: LabelMap) -> Counts:
        """int64 (256, K, L+1): pixels by true value, best class (first on equal scores) and number of levels below
        the best score. scores: finite float32 (K, H, W), K >= 1. ground_truth: uint8 (H, W)."""
        counts = np.zeros((256, len(scores), len(self.levels) + 1), np.int64)
        compiled = load_compiled("wsl.evaluate.segmentation.level_counts_compiled")
        if compiled is None:
            self._count_arrays(scores, ground_truth, counts)
        else:
            flat = np.ascontiguousarray(scores).reshape(len(scores), -1)
            truth = np.ascontiguousarray(ground_truth).reshape(-1)
            compiled.count_levels(flat, truth, self._closed, self._first, counts)
        return counts

    def find_exceeded(self, best: NDArray[np.float32]) -> NDArray[np.intp]:
        """Number of levels below each value: searchsorted(levels, best, "left")."""
        if self._steps > _MOST_STEPS:
            return np.searchsorted(self.levels, best, side="left")
        bucket = (np.clip(best, 0, 1) * np.float32(_BUCKETS)).astype(np.intp)
        exceeded = np.take(self._first, bucket, mode="clip")  # NumPy checks every index in the other modes
        for _ in range(self._steps):
            exceeded += np.take(self._closed, exceeded, mode="clip") < best
        return exceeded

    def _count_arrays(self, scores: Scores, ground_truth: LabelMap, counts: Counts) -> None:
        best, winner = find_best(scores)
        index = ground_truth.astype(np.intp)
        index *= len(scores)
        index += winner
        index *= counts.shape[2]
        index += self.find_exceeded(best)
        counts += np.bincount(index.ravel(), minlength=counts.size).reshape(counts.shape)


def find_best(scores: Scores) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(highest score float32, its row uint8, the first on equal scores), (H, W) each, of float32 (K, H, W).

    Plane by plane, for NumPy's argmax over the first axis jumps through memory.
    """
    best, winner = scores[0].copy(), np.zeros(scores.shape[1:], np.uint8)
    for row in range(1, len(scores)):
        np.copyto(winner, np.uint8(row), where=scores[row] > best)
        np.maximum(best, scores[row], out=best)
    return best, winner
