"""The label rule: from scores to label maps and to seeds, where 255 says 'not sure'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_label_map, check_same_size
from wsl.errors import ConfigError, DataError
from wsl.seeds.background import check_background, compute_background
from wsl.types import BACKGROUND, IGNORE, MAX_CLASSES, LabelMap, Scores


def check_class_ids(class_ids: Sequence[int], count: int) -> None:
    """Raises DataError unless `class_ids` are `count` different ids in 1..254."""
    if len(class_ids) != count or len(set(class_ids)) != count or not all(1 <= one <= MAX_CLASSES for one in class_ids):
        raise DataError(
            f"class_ids: expected {count} different ids in 1..{MAX_CLASSES}, one for each score map, "
            f"but got {tuple(class_ids)}."
        )


def label_of_evidence(background: NDArray[np.float32], scores: Scores, class_ids: Sequence[int]) -> LabelMap:
    """uint8 (H, W): the class with the highest score, in float32; ties go to background, then to the first class.

    background: float32 (H, W). scores: float32 (K, H, W) for `class_ids`. K = 0: all background.
    """
    check_class_ids(class_ids, len(scores))
    if len(scores) == 0:
        return np.zeros(scores.shape[1:], np.uint8)
    ids = np.asarray(class_ids, np.uint8)
    best = scores.max(axis=0).astype(np.float32)
    winner = ids[scores.argmax(axis=0)]
    return np.where(best > background.astype(np.float32), winner, np.uint8(BACKGROUND))


def label_from_scores(scores: Scores, class_ids: Sequence[int], rule: str, value: float) -> LabelMap:
    """Label map uint8 (H, W) of scores floating (K, H, W) in [0, 1] under a background rule.

    Same as argmax over [background, scores]: a class wins only with a score above the background's (float32).
    Raises ConfigError for rule or value, DataError for scores or ids.
    """
    scores = scores.astype(np.float32, copy=False)
    return label_of_evidence(compute_background(scores, rule, value), scores, class_ids)


def combine_labels(foreground: LabelMap, background: LabelMap) -> LabelMap:
    """Seeds uint8 (H, W) from a strict and a generous label map of one image (IRN's rule).

    foreground: labels under the strict threshold: its classes are sure. background: labels under the generous
    threshold. Where both say background it is background (0); where only the generous one sees a class: 255.
    Refine each of the two before joining them to get IRN's seeds.
    """
    check_label_map(foreground, "foreground labels")
    check_label_map(background, "background labels")
    check_same_size(foreground, background, "foreground labels", "background labels")
    seeds = np.where((foreground == BACKGROUND) & (background != BACKGROUND), np.uint8(IGNORE), foreground)
    return seeds


def check_two_thresholds(rule: str, foreground: float, background: float) -> None:
    """Raises ConfigError when the strict threshold is the more generous one: nothing would be 'not sure'."""
    check_background(rule, foreground)
    check_background(rule, background)
    reversed_order = foreground > background if rule == "power" else foreground < background
    if reversed_order:
        wanted = "foreground <= background (exponents)" if rule == "power" else "foreground >= background (scores)"
        raise ConfigError(
            f"seeds with background rule '{rule}': expected {wanted}, but got foreground {foreground} and "
            f"background {background}; swap the two."
        )


def seed_label_map(
    scores: Scores, class_ids: Sequence[int], *, rule: str = "constant", foreground: float, background: float
) -> LabelMap:
    """Seeds uint8 (H, W) by IRN's two-threshold rule without a CRF: class, 0 background, 255 not sure.

    scores: floating (K, H, W) in [0, 1]. foreground and background: the rule's value for the strict and the generous
    label map. For `constant` they are scores, foreground >= background (IRN: 0.30 and 0.05); for `power`
    exponents, foreground <= background (PSA: 4 and 32), because a larger exponent means less background.
    K = 0: all background. Raises ConfigError when their order is reversed.
    """
    check_two_thresholds(rule, foreground, background)
    strict = label_from_scores(scores, class_ids, rule, foreground)
    return combine_labels(strict, label_from_scores(scores, class_ids, rule, background))
