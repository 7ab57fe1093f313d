"""`relative`: thresholds relative to the largest evidence of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, check_share
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask


@LABEL_RULES.register("relative")
@dataclass(frozen=True)
class Relative(LabelRule):
    """Pseudo ground truth of the single-stage method of Araslanov and Roth (2020).

    A channel passes at a pixel where its evidence is above its share of its own maximum over the image, and above
    `low`. share, background_share: of classes and of the background. Pixels that exactly one channel passes have it,
    the others are 255.
    """

    share: float = 0.6
    background_share: float = 0.7
    low: float = 0.2

    def __post_init__(self) -> None:
        for name in ("share", "background_share", "low"):
            check_share(name, getattr(self, name))

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        passing = self._find_channels(evidences[0])
        ids = np.array([BACKGROUND, *class_ids], np.uint8)
        return np.where(passing.sum(axis=0) == 1, ids[passing.argmax(axis=0)], np.uint8(IGNORE))

    def find_passing(self, evidence: Evidence, class_ids: Sequence[int]) -> Mask:
        """Where each class passes its own threshold."""
        return self._find_channels(evidence)[1:]

    def _find_channels(self, evidence: Evidence) -> Mask:
        shares = np.full(len(evidence), self.share, np.float32)
        shares[0] = self.background_share
        cuts = np.maximum(evidence.max(axis=(1, 2)) * shares, np.float32(self.low))
        return evidence > cuts[:, None, None]
