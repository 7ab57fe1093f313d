"""`colour_contrast`: the threshold whose foreground differs most in colour from its background."""

from __future__ import annotations

import numpy as np

from wsl.seeds.label_free.lab import to_lab
from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Values


@LABEL_FREE_RULES.register("colour_contrast")
class ColourContrast(LabelFreeRule):
    """Mean over images of the share of the CIE Lab variance that the two regions explain (Chan and Vese's energy,
    IEEE Trans. IP 10 (2001), eq. 3 without length term, over the total variance, subtracted from 1)."""

    needs = ("image",)

    def measure(self, evidence: Evidence) -> Values:
        """One row: between-region over total variance, in [0, 1]; 0 for an image of one colour or an empty region."""
        lab = to_lab(evidence.image)
        pixels = float(evidence.levels.size)
        above = evidence.sum_above(np.ones(evidence.levels.shape))
        sums = np.stack([evidence.sum_above(lab[..., channel]) for channel in range(3)])
        total, variance = lab.sum(axis=(0, 1))[:, None], lab.reshape(-1, 3).var(axis=0).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = ((sums / above - (total - sums) / (pixels - above)) ** 2).sum(axis=0)
            share = above / pixels
            between = np.where((above > 0) & (above < pixels), share * (1 - share) * gap, 0.0)
        return (between / variance if variance > 0 else 0 * between)[None]
