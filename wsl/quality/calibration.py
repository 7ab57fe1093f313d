"""From confidence to predicted IoU, by isotonic regression on images whose masks are known.

The only part of this package that is fitted on masks: it never decides an order, it only names the IoU to expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A rising curve through the points (`confidence`, `quality`), float64 (m,) each; between them straight lines."""

    confidence: Values
    quality: Values

    def predict(self, confidence: ArrayLike) -> Values:
        """Expected quality float64 of each confidence; beyond the known confidences that of the nearest."""
        return np.asarray(np.interp(np.asarray(confidence, np.float64), self.confidence, self.quality))


def fit_calibration(confidence: ArrayLike, quality: ArrayLike) -> Calibration:
    """The rising curve with the least squared error to n >= 1 pairs (pool adjacent violators, Ayer et al. 1955).

    confidence, quality: (n,), finite. Equal confidences are one point with the mean quality. Fit it on other images
    than those it is used on. DataError for lists that do not fit.
    """
    x, y = np.asarray(confidence, np.float64), np.asarray(quality, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.isfinite([x, y]).all():
        raise DataError(f"calibration: expected two finite lists of one length, but got {x.shape} and {y.shape}.")
    places, group, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(group, y) / counts
    return Calibration(places, _pool(means, counts))


def _pool(means: Values, counts: NDArray[np.intp]) -> Values:
    """Neighbours in falling order are replaced by their common mean until none is left."""
    blocks: list[tuple[float, int, int]] = []  # mean, number of pairs, number of points
    for mean, count in zip(means.tolist(), counts.tolist(), strict=True):
        block = (mean, count, 1)
        while blocks and blocks[-1][0] >= block[0]:
            last = blocks.pop()
            total = last[1] + block[1]
            block = ((last[0] * last[1] + block[0] * block[1]) / total, total, last[2] + block[2])
        blocks.append(block)
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])
