"""The compiled form of `level_counts`: one pass over the pixels, no arrays in between."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def count_levels(
    scores: NDArray[np.float32],
    truth: NDArray[np.uint8],
    closed: NDArray[np.float32],
    first: NDArray[np.intp],
    counts: NDArray[np.int64],
) -> None:
    """Adds to `counts` (256, K, L+1) the pixels of scores (K, P) and truth (P,).

    closed: the levels and inf (L+1,). first: per bucket of equal width in [0, 1], and for 1 and above, the number of
    levels that every value of the bucket exceeds.
    """
    last = len(first) - 1
    buckets = np.float32(last)
    for pixel in range(scores.shape[1]):
        best, winner = scores[0, pixel], 0
        for row in range(1, scores.shape[0]):
            if scores[row, pixel] > best:
                best, winner = scores[row, pixel], row
        place = best * buckets
        bucket = 0
        if place >= buckets:
            bucket = last
        elif place > 0:
            bucket = int(place)
        exceeded = first[bucket]
        while closed[exceeded] < best:
            exceeded += 1
        counts[truth[pixel], winner, exceeded] += 1
