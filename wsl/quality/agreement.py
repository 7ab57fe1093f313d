"""How far several views of the same object agree: the maps of single scales."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.quality.regions import Regions

Plane = NDArray[np.float32]
Values = NDArray[np.float64]


def align_levels(levels: Sequence[Plane], size: tuple[int, int]) -> list[Plane]:
    """One class's raw maps (h, w) of several scales as planes float32 (H, W): positive parts, each with maximum 1.

    Bilinear with half-pixel centres to the size of the largest level, then every pixel has the value of its cell.
    A map that is nowhere positive stays 0.
    """
    height = max(level.shape[0] for level in levels)
    width = max(level.shape[1] for level in levels)
    small = [_normalise(cv2.resize(level, (width, height))) for level in levels]  # bilinear
    rows, columns = np.arange(size[0]) * height // size[0], np.arange(size[1]) * width // size[1]
    return [level[rows[:, None], columns] for level in small]


def _normalise(level: NDArray[Any]) -> Plane:
    positive = np.maximum(level, 0)
    highest = positive.max()
    return np.asarray(positive / highest if highest > 0 else positive, np.float32)


def compute_scale_agreement(aligned: Sequence[Plane], regions: Regions) -> Values:
    """Mean over all pairs of planes (H, W) of their soft IoU inside each region: float64 (regions,) in [0, 1].

    Soft IoU: sum(min) / sum(max). Pairs that are 0 all over a region do not count; NaN where no pair does, and with
    fewer than two planes.
    """
    pairs = [_compute_soft_iou(first, second, regions) for first, second in combinations(aligned, 2)]
    return mean_of_known(np.reshape(pairs, (-1, regions.count)))


def _compute_soft_iou(first: Plane, second: Plane, regions: Regions) -> Values:
    low, high = regions.sum(np.minimum(first, second)), regions.sum(np.maximum(first, second))
    return np.divide(low, high, out=np.full(len(low), np.nan), where=high > 0)


def mean_of_known(rows: Values) -> Values:
    """Mean over the first axis of what is not NaN, float64 (n,) of (m, n); NaN where nothing is known."""
    known = ~np.isnan(rows)
    counts = known.sum(0)
    total = np.where(known, rows, 0).sum(0)
    return np.divide(total, counts, out=np.full(rows.shape[1], np.nan), where=counts > 0)
