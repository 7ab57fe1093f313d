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

    The bin is guessed from the width of the first one and then moved, by one at most, to where the edges say, so no
    rounding is left. Numbers of bins are unsigned, for numba tests signed ones for being negative.
    """
    bins = np.uint64(len(edges) - 1)
    one, highest, scale = np.uint64(1), bins - np.uint64(2), 1 / edges[1]
    counts = np.zeros(3 * len(edges), np.int64)
    flat_scores, flat_labels = score_map.ravel(), labels.ravel()
    for pixel in range(flat_scores.size):
        value = (flat_scores[pixel] - low) / high
        index = min(np.uint64(np.int64(value * scale)), highest)
        if value < edges[index]:
            index -= one
        elif value >= edges[index + one]:
            index += one
        counts[np.uint64(flat_labels[pixel]) * bins + index] += 1
    return counts[: 2 * bins].reshape(2, len(edges) - 1)
