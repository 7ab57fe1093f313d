"""How well a confidence orders results by their true quality: rank correlations and the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

Values = NDArray[np.float64]
BLOCK = 256  # rows of pairs that are compared at once


@dataclass(frozen=True)
class RiskCoverage:
    """Mean quality of the most confident results, for every number of them that is kept.

    coverage: float64 (n,), 1/n ... 1. quality: float64 (n,), mean quality of that share, by falling confidence;
    results of equal confidence stand for each other, so each counts with the mean of its group.
    aurc: mean of 1 - quality over all coverages (Geifman and El-Yaniv 2017), lower is better. oracle, random: the same
    for the order of the qualities themselves, and for no order. excess: aurc - oracle (E-AURC, Geifman et al. 2019).
    """

    coverage: Values
    quality: Values
    aurc: float
    oracle: float
    random: float

    @property
    def excess(self) -> float:
        """E-AURC: what a perfect order would have saved."""
        return self.aurc - self.oracle

    @property
    def gain(self) -> float | None:
        """Share of the way from no order (0) to the perfect one (1); None where all qualities are equal."""
        span = self.random - self.oracle
        return (self.random - self.aurc) / span if span > 0 else None

    def at(self, coverage: float) -> float:
        """Mean quality when the share `coverage` in (0, 1] is kept, rounded up to whole results."""
        return float(self.quality[max(1, int(np.ceil(coverage * len(self.quality) - 1e-9))) - 1])


def compute_risk_coverage(confidence: ArrayLike, quality: ArrayLike) -> RiskCoverage:
    """The curve of n >= 1 results; quality in [0, 1] such as IoU, confidence any finite number. DataError otherwise."""
    confidences, qualities = _pair(confidence, quality, least=1)
    kept = _mean_of_best(confidences, qualities)
    oracle = 1 - _mean_of_best(qualities, qualities).mean()
    coverage = np.arange(1, len(kept) + 1) / len(kept)
    return RiskCoverage(coverage, kept, float(1 - kept.mean()), float(oracle), float(1 - qualities.mean()))


def _mean_of_best(confidence: Values, quality: Values) -> Values:
    values, group = np.unique(-confidence, return_inverse=True)
    means = np.bincount(group, quality, len(values)) / np.bincount(group, minlength=len(values))
    return np.asarray(np.cumsum(means[np.sort(group)]) / np.arange(1, len(quality) + 1))


def compute_spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation in [-1, 1] of two lists of n >= 2 numbers, ties with their mean rank.

    None where one of them is constant; DataError for lists that do not fit or are not finite.
    """
    a, b = (rank(values) - (len(values) + 1) / 2 for values in _pair(first, second, least=2))
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else None


def rank(values: Values) -> Values:
    """Ranks 1 to n by rising value, float64; equal values have the mean of their ranks."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[group])


def compute_kendall(first: ArrayLike, second: ArrayLike) -> float | None:
    """Kendall's tau-b in [-1, 1] of two lists of n >= 2 numbers: pairs in the same order less pairs in the other.

    Divided by sqrt(pairs not tied in the first * pairs not tied in the second), Kendall 1945. None where one of them is
    constant; DataError as in `compute_spearman`. Compares all pairs: meant for up to some ten thousand results.
    """
    a, b = _pair(first, second, least=2)
    balance = untied_a = untied_b = 0
    for start in range(0, len(a), BLOCK):
        signs_a = np.sign(a[start : start + BLOCK, None] - a).astype(np.int8)
        signs_b = np.sign(b[start : start + BLOCK, None] - b).astype(np.int8)
        balance += int((signs_a * signs_b).sum(dtype=np.int64))
        untied_a += int(np.count_nonzero(signs_a))
        untied_b += int(np.count_nonzero(signs_b))
    return float(balance / np.sqrt(float(untied_a) * float(untied_b))) if untied_a and untied_b else None


def _pair(first: ArrayLike, second: ArrayLike, least: int) -> tuple[Values, Values]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < least:
        raise DataError(f"Expected two lists of the same length, at least {least}, but got {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("Expected finite confidences and qualities, but some are NaN or inf; leave those results out.")
    return a, b
