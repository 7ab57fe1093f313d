"""`otsu`: the split of all images' scores with the largest between-class variance."""

from __future__ import annotations

import numpy as np

from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Values


def between_class_variance(above: Values, sum_above: Values, pixels: Values, total: Values) -> Values:
    """Otsu's criterion (1979, eq. 18) per threshold, float64 (T,): w (1 - w) (m1 - m0)^2; 0 where one side is empty.

    above, sum_above: number and sum of the values above each threshold; pixels, total: number and sum of all.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = above / pixels
        difference = sum_above / above - (total - sum_above) / (pixels - above)
        variance: Values = share * (1 - share) * difference**2
    return np.where((above > 0) & (above < pixels), variance, 0.0)


@LABEL_FREE_RULES.register("otsu")
class Otsu(LabelFreeRule):
    """Otsu, IEEE Trans. SMC 9 (1979), eq. 18, over the best class scores of all pixels of all images together."""

    def measure(self, evidence: Evidence) -> Values:
        """Rows: pixels above, sum of levels above, all pixels, sum of all levels."""
        histogram = evidence.histogram
        ones = np.ones(evidence.thresholds)
        sums = histogram * np.arange(evidence.thresholds + 1)
        above, sum_above = (np.cumsum(each[::-1])[::-1][1:] for each in (histogram, sums))
        return np.stack([above, sum_above, histogram.sum() * ones, sums.sum() * ones])

    def rate(self, total: Values, images: int) -> Values:
        """Between-class variance of the pooled levels."""
        return between_class_variance(*total)
