"""`two_alpha`: PSA's confidence labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wsl.errors import ConfigError
from wsl.seeds.background import compute_background
from wsl.seeds.labels import label_of_evidence
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, Plane, check_exponent
from wsl.types import BACKGROUND, IGNORE, LabelMap, Scores

LEAST_EVIDENCE = np.float32(1e-5)  # below it in every channel of both views: a region without scores


@LABEL_RULES.register("two_alpha")
@dataclass(frozen=True)
class TwoAlpha(LabelRule):
    """PSA (Ahn and Kwak 2018): the image is refined under the backgrounds (1 - max)^low and (1 - max)^high.

    low, high: exponents, 0 < low <= high; a larger one gives less background. What the low view gives a class has it,
    unless the high view calls it background, which wins (after refinement the two can contradict each other; IRN's
    rule keeps the class). The rest is 255, and so are pixels with less than 1e-5 in every channel of both views.
    """

    low: float = 4.0
    high: float = 32.0
    views: ClassVar[int] = 2

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_exponent(name, getattr(self, name))
        if self.low > self.high:
            raise ConfigError(
                f"labels.low: expected an exponent of at most labels.high ({self.high}), but got {self.low}; "
                "swap the two."
            )

    def backgrounds(self, scores: Scores) -> tuple[Plane, ...]:
        """The planes of the low and of the high exponent."""
        return tuple(compute_background(scores, "power", value) for value in (self.low, self.high))

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        low, high = (label_of_evidence(each[0], each[1:], class_ids) for each in evidences)
        labels = np.where(low == BACKGROUND, np.uint8(IGNORE), low)
        labels[high == BACKGROUND] = BACKGROUND
        strongest = np.maximum(evidences[0].max(axis=0), evidences[1].max(axis=0))
        labels[strongest < LEAST_EVIDENCE] = IGNORE
        return labels
