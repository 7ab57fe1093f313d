"""Which labels the evidence does not bear out: low confidence, and conflicts between classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsl.seeds.rules.rule import Evidence, Plane
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask


def compute_confidence(evidence: Evidence) -> Plane:
    """float32 (H, W) in [0, 1]: share of the strongest channel in the sum of all; 0 where there is no evidence."""
    total = evidence.sum(axis=0)
    return evidence.max(axis=0) / np.where(total > 0, total, np.float32(1))


def ignore_unsure(labels: LabelMap, evidence: Evidence, min_confidence: float) -> LabelMap:
    """255 where the confidence is below `min_confidence` in [0, 1] (CLIP-ES: 0.95); background pixels included."""
    return np.where(compute_confidence(evidence) < np.float32(min_confidence), np.uint8(IGNORE), labels)


def find_foreground(labels: LabelMap) -> Mask:
    """bool (H, W): pixels that have a class, neither background nor 255."""
    return (labels != BACKGROUND) & (labels != IGNORE)


def ignore_conflicts(labels: LabelMap, evidence: Evidence, margin: float) -> LabelMap:
    """255 where a class was given but the two strongest classes are at most `margin` of evidence apart."""
    if len(evidence) < 3:
        return labels
    first_two = np.partition(evidence[1:], len(evidence) - 3, axis=0)[-2:]
    close = first_two[1] - first_two[0] <= np.float32(margin)
    return np.where(find_foreground(labels) & close, np.uint8(IGNORE), labels)


def rank_regions(masks: Mask, ids: Sequence[int]) -> list[int]:
    """Places in bool (N, H, W), smallest region first, of equal ones the lower id."""
    areas = masks.sum(axis=(1, 2))
    return sorted(range(len(masks)), key=lambda place: (areas[place], ids[place]))


def prefer_smaller(labels: LabelMap, passing: Mask, class_ids: Sequence[int]) -> LabelMap:
    """Where a class was given and several pass, the one whose passing region, over the whole image, is smaller.

    passing: bool (K, H, W) for `class_ids`. Of equal regions the lower class id (SEC's rule of overlapping cues).
    """
    cleaned, foreground = labels.copy(), find_foreground(labels)
    for channel in rank_regions(passing, class_ids)[::-1]:  # the smallest is painted last
        cleaned[passing[channel] & foreground] = class_ids[channel]
    return cleaned
