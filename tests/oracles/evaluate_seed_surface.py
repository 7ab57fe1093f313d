"""The seed surface as one would compute it: seeds and a confusion matrix for every pair of thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.oracles.evaluate_confusion import confusion_by_pixel, iou_by_class
from tests.oracles.evaluate_sweep import Sweep
from wsl.errors import ConfigError
from wsl.seeds.labels import seed_label_map


def surface_by_pair(
    images: Sweep, num_classes: int, rule: str, values: Sequence[float], absent: str
) -> dict[str, NDArray[np.float64]]:
    """Four (T, T) arrays, [background, foreground]."""
    shape = (len(values), len(values))
    surface = {
        name: np.full(shape, np.nan) for name in ("precision", "coverage", "miou_excluded", "miou_as_background")
    }
    for row, background in enumerate(values):
        for column, foreground in enumerate(values):
            try:
                seeds = [
                    seed_label_map(scores, ids, rule=rule, foreground=foreground, background=background)
                    for scores, ids, _ in images
                ]
            except ConfigError:
                continue
            for name, value in _measure(seeds, [truth for _, _, truth in images], num_classes, absent).items():
                surface[name][row, column] = value
    return surface


def _measure(seeds: list[NDArray], truths: list[NDArray], num_classes: int, absent: str) -> dict[str, float]:
    excluded, as_background = (np.zeros((num_classes + 1, num_classes + 1), np.int64) for _ in range(2))
    decided = right = for_class = pixels = 0
    for seed, truth in zip(seeds, truths, strict=True):
        excluded += np.array(confusion_by_pixel(truth, seed, num_classes, "exclude")[0])
        as_background += np.array(confusion_by_pixel(truth, seed, num_classes, "background")[0])
        scored = truth != 255
        pixels += int(scored.sum())
        decided += int((scored & (seed != 255)).sum())
        for_class += int((scored & (seed != 255) & (seed != 0)).sum())
        right += int((scored & (seed != 255) & (seed != 0) & (seed == truth)).sum())
    return {
        "precision": right / for_class if for_class else math.nan,
        "coverage": decided / pixels if pixels else math.nan,
        "miou_excluded": _mean(iou_by_class(excluded, absent)),
        "miou_as_background": _mean(iou_by_class(as_background, absent)),
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
