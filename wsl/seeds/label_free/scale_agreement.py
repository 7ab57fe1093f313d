"""`scale_agreement`: the threshold at which the maps of single scales say the same, beyond what chance gives."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Levels, Values, count_above


@LABEL_FREE_RULES.register("scale_agreement")
class ScaleAgreement(LabelFreeRule):
    """Mean over images, classes and pairs of scales of (p12 - p1 p2) / sqrt(p1 p2).

    p1, p2 are the shares of the pixels above the threshold in two scales' maps of one class, p12 the share above it in
    both; p1 p2 is what two unrelated maps would share.
    """

    needs = ("views",)

    def measure(self, evidence: Evidence) -> Values:
        """One row in [-1, 1]; 0 where one of the maps has nothing above the threshold."""
        rows = [
            _excess(first, second, evidence.thresholds)
            for levels in evidence.views
            for first, second in combinations(levels, 2)
        ]
        return np.mean(rows, axis=0)[None]


def _excess(first: Levels, second: Levels, thresholds: int) -> Values:
    shares = [count_above(levels, thresholds) / first.size for levels in (first, second, np.minimum(first, second))]
    chance = shares[0] * shares[1]
    result = np.zeros(thresholds)
    np.divide(shares[2] - chance, np.sqrt(chance), out=result, where=chance > 0)
    return result
