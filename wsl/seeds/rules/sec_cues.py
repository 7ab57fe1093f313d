"""`sec_cues`: the localization cues of SEC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from wsl.seeds.rules.certainty import rank_regions
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, Plane, check_share
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask


@LABEL_RULES.register("sec_cues")
@dataclass(frozen=True)
class SecCues(LabelRule):
    """SEC (Kolesnikov and Lampert 2016): sparse cues for the classes and for the background, the rest 255.

    foreground: a class has its cues where its evidence is above this share of its maximum over the image. background:
    share of the image's pixels, those of lowest saliency, that are background cues (as many again as tie with the last
    of them). Where cues overlap, the smaller region wins; of equal ones the background, then the lower class id.

    SEC takes the saliency from a network of its own. Here it is the evidence by which the best class exceeds the
    background, smoothed by SEC's 3 x 3 median.
    """

    foreground: float = 0.2
    background: float = 0.1

    def __post_init__(self) -> None:
        check_share("foreground", self.foreground)
        check_share("background", self.background)

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        evidence = evidences[0]
        lowest = find_lowest(compute_saliency(evidence), self.background)
        cues = np.concatenate([lowest[None], self.find_passing(evidence, class_ids)])
        labels = np.full(evidence.shape[1:], IGNORE, np.uint8)
        ids = (BACKGROUND, *class_ids)
        for channel in rank_regions(cues, ids)[::-1]:  # the smallest is painted last
            labels[cues[channel]] = ids[channel]
        return labels

    def find_passing(self, evidence: Evidence, class_ids: Sequence[int]) -> Mask:
        """Where each class has its cues."""
        cuts = evidence[1:].max(axis=(1, 2)) * np.float32(self.foreground)
        return evidence[1:] > cuts[:, None, None]


def compute_saliency(evidence: Evidence) -> Plane:
    """float32 (H, W): evidence of the best class less that of the background, 3 x 3 median, edge pixels repeated."""
    return np.asarray(cv2.medianBlur(np.ascontiguousarray(evidence[1:].max(axis=0) - evidence[0]), 3), np.float32)


def find_lowest(saliency: Plane, share: float) -> Mask:
    """bool (H, W): the share of pixels with the lowest values, rounded down, and all that equal the last of them."""
    count = int(share * saliency.size + 1e-9)  # 0.29 x 100 is 28.999999999999996
    if count == 0:
        return np.zeros(saliency.shape, np.bool_)
    return saliency <= np.partition(saliency.ravel(), count - 1)[count - 1]
