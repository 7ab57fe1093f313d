"""`normalised_cut`: the threshold whose contour runs along the image's edges, at all thresholds from one pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.seeds.label_free.lab import to_lab
from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Levels, Values

WORST = 2.0  # what the cut of an empty region tends to


@LABEL_FREE_RULES.register("normalised_cut")
class NormalisedCut(LabelFreeRule):
    """Mean over images of minus Shi and Malik's normalised cut (IEEE Trans. PAMI 22 (2000), eq. 2) of the foreground.

    Pixels are joined to their four neighbours with weight exp(-d / mean d), d the distance of their CIE Lab colours:
    the contrast term of a CRF's pairwise energy, here divided by the weight of either side, so that no size is
    preferred. A pair is cut at the thresholds between its two levels, so all cuts come from two histograms.
    """

    needs = ("image",)

    def measure(self, evidence: Evidence) -> Values:
        """One row: minus the normalised cut, in [-2, 0]; -2 where one side is empty."""
        vertical, horizontal = affinities(to_lab(evidence.image))
        levels, count = evidence.levels, evidence.thresholds
        cut = sum_cut(levels[1:], levels[:-1], vertical, count) + sum_cut(
            levels[:, 1:], levels[:, :-1], horizontal, count
        )
        degree = sum_degrees(vertical, horizontal)
        inside = evidence.sum_above(degree)
        outside = degree.sum() - inside
        with np.errstate(divide="ignore", invalid="ignore"):
            value = cut / inside + cut / outside
        full = np.cumsum(evidence.histogram)[:-1]  # pixels at or below each threshold
        empty = (full == 0) | (full == levels.size)
        return -np.where(empty | ~np.isfinite(value), WORST, value)[None]


def affinities(lab: NDArray[np.float32]) -> tuple[Values, Values]:
    """Weights in (0, 1] of the vertical (H - 1, W) and horizontal (H, W - 1) neighbours; 1 in a plain image."""
    distances = [
        np.sqrt(((first - second).astype(np.float64) ** 2).sum(axis=2))
        for first, second in ((lab[1:], lab[:-1]), (lab[:, 1:], lab[:, :-1]))
    ]
    pairs = sum(each.size for each in distances)
    mean = sum(float(each.sum()) for each in distances) / pairs if pairs else 0.0
    vertical, horizontal = (np.exp(-each / mean) if mean > 0 else np.ones_like(each) for each in distances)
    return vertical, horizontal


def sum_cut(first: Levels, second: Levels, weights: Values, thresholds: int) -> Values:
    """Weight of the pairs with one pixel above and one not above each threshold, float64 (T,)."""
    low, high = np.minimum(first, second).ravel(), np.maximum(first, second).ravel()
    flat = weights.ravel()
    change = np.bincount(low, flat, thresholds + 1) - np.bincount(high, flat, thresholds + 1)
    return np.cumsum(change)[:thresholds]


def sum_degrees(vertical: Values, horizontal: Values) -> Values:
    """Weight of all pairs of each pixel, float64 (H, W)."""
    degree = np.zeros((horizontal.shape[0], vertical.shape[1]))
    degree[1:] += vertical
    degree[:-1] += vertical
    degree[:, 1:] += horizontal
    degree[:, :-1] += horizontal
    return degree
