"""`otsu_per_image`: the threshold that separates the scores of each image best, on average."""

from __future__ import annotations

import numpy as np

from wsl.seeds.label_free.otsu import Otsu, between_class_variance
from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Values


@LABEL_FREE_RULES.register("otsu_per_image")
class OtsuPerImage(LabelFreeRule):
    """Mean over images of Otsu's eta (1979, eq. 16): between-class over total variance of the image's scores."""

    def measure(self, evidence: Evidence) -> Values:
        """One row: eta of each threshold in [0, 1]; 0 for a constant map."""
        places = np.arange(evidence.thresholds + 1)
        histogram = evidence.histogram
        pixels = histogram.sum()
        variance = (histogram * (places - (histogram * places).sum() / pixels) ** 2).sum() / pixels
        between = between_class_variance(*Otsu().measure(evidence))
        return (between / variance if variance > 0 else between)[None]
