"""One pass over the pixels, compiled. Reached through `wsl.compiled.load_compiled`; see `pixel_histograms`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def count_scores(
    score_map: NDArray[np.float64], labels: NDArray[np.uint8], edges: NDArray[np.float64], low: float, high: float
) -> NDArray[np.int64]:
    """int64 (2, B): how many scores (score_map - low) / high, all in [0, 1], of each label fall between two edges.

    The bin is guessed from the width of the first one and moved to where the edges say, so no rounding is left.
    """
    bins = len(edges) - 1
    counts = np.zeros((3, bins), np.int64)
    scale = 1 / edges[1]
    for row in range(score_map.shape[0]):
        for column in range(score_map.shape[1]):
            value = (score_map[row, column] - low) / high
            index = min(int(value * scale), bins - 2)
            while value < edges[index]:
                index -= 1
            while value >= edges[index + 1]:
                index += 1
            counts[labels[row, column], index] += 1
    return counts[:2]
