"""How many levels does the best score of a pixel exceed? Counted per (true class, best class): a sweep's inner loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.evaluate.segmentation.confusion import Counts
from wsl.seeds.level_search import LevelSearch
from wsl.types import LabelMap, Scores


class LevelCounter:
    """Counts for a fixed list of `levels`, float32 (L,), ascending, different, in [0, 1]; see `LevelSearch`."""

    def __init__(self, levels: NDArray[np.float32]) -> None:
        self.levels, self._search = levels, LevelSearch(levels)

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
            compiled.count_levels(flat, truth, self._search.closed, self._search.first, counts)
        return counts

    def _count_arrays(self, scores: Scores, ground_truth: LabelMap, counts: Counts) -> None:
        best, winner = find_best(scores)
        index = ground_truth.astype(np.intp)
        index *= len(scores)
        index += winner
        index *= counts.shape[2]
        index += self._search.find_exceeded(best)
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
