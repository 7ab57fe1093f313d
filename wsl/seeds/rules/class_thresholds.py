"""`class_thresholds`: a threshold for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsl.seeds.labels import label_of_evidence
from wsl.seeds.rules.class_values import read_class_values
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, check_share
from wsl.types import LabelMap, Mask


@LABEL_RULES.register("class_thresholds")
@dataclass(frozen=True)
class ClassThresholds(LabelRule):
    """The class with the most evidence among those above their own threshold; background where there is none.

    thresholds: {class id: value in [0, 1]}, ids that an image does not have are not used in it. default: threshold of
    all other classes. The evidence of the background itself takes no part. No 255.
    """

    thresholds: Mapping[int, float] = field(default_factory=dict, hash=False)
    default: float = 0.3

    def __post_init__(self) -> None:
        check_share("default", self.default)
        object.__setattr__(self, "thresholds", read_class_values("thresholds", self.thresholds, most=1))

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        scores = np.where(self.find_passing(evidences[0], class_ids), evidences[0][1:], np.float32(-1))
        return label_of_evidence(np.full(scores.shape[1:], -1, np.float32), scores, class_ids)

    def find_passing(self, evidence: Evidence, class_ids: Sequence[int]) -> Mask:
        """Where each class is above its own threshold."""
        cuts = np.array([self.thresholds.get(each, self.default) for each in class_ids], np.float32)
        return evidence[1:] > cuts[:, None, None]
