"""`relative`: thresholds relative to the largest evidence of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.seeds.background import compute_background
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, Plane, check_exponent, check_share
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask, Scores


@LABEL_RULES.register("relative")
@dataclass(frozen=True)
class Relative(LabelRule):
    """Pseudo ground truth of the single-stage method of Araslanov and Roth (2020).

    A channel passes at a pixel where its evidence is above its share of its own maximum over the image, and above
    `low`. share, background_share: of classes and of the background. Pixels that exactly one channel passes have it,
    the others are 255.

    In the paper the background is an output of the network. Here the image is refined under (1 - max)^alpha, alpha > 0:
    a constant background would pass everywhere, and leave no pixel to the classes.
    """

    share: float = 0.6
    background_share: float = 0.7
    low: float = 0.2
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_exponent("alpha", self.alpha)
        for name in ("share", "background_share", "low"):
            check_share(name, getattr(self, name))

    def backgrounds(self, scores: Scores) -> tuple[Plane, ...]:
        """One plane that falls with the best score."""
        return (compute_background(scores, "power", self.alpha),)

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
