"""What a label-free rule is, what it may see of an image, and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.registry import Registry
from wsl.types import Image

Values = NDArray[np.float64]
MOST_EXACT = 2**24  # calcHist counts in float32
Levels = NDArray[Any]  # uint8 below 256 thresholds, else intp


@dataclass(frozen=True)
class Evidence:
    """One image as the rules see it: no ground truth.

    `levels` (H, W) counts, of the T thresholds in ascending order of the score they ask for, how many a pixel's best
    class exceeds, so that the foreground at threshold t is `levels > t`. `image` is uint8 (H, W, 3) or None. `views`
    holds, per class, the levels (V, H, W) of V maps of the same image made in different ways (one per scale).
    """

    levels: Levels
    thresholds: int
    image: Image | None = None
    views: tuple[Levels, ...] = ()

    @cached_property
    def histogram(self) -> Values:
        """Pixels of each level, float64 (T + 1,)."""
        return count_levels(self.levels, self.thresholds)

    def sum_above(self, values: NDArray[np.generic]) -> Values:
        """Sum of `values` (H, W) over the foreground at each threshold, float64 (T,)."""
        weights = values.ravel().astype(np.float64)
        sums: Values = np.asarray(np.bincount(self.levels.ravel(), weights, self.thresholds + 1), np.float64)
        above: Values = np.cumsum(sums[::-1])[::-1][1:]
        return above


def count_above(levels: Levels, thresholds: int) -> Values:
    """Number of pixels above each of T thresholds, float64 (T,)."""
    above: Values = np.cumsum(count_levels(levels, thresholds)[::-1])[::-1][1:]
    return above


def count_levels(levels: Levels, thresholds: int) -> Values:
    """Number of pixels of each level 0..T, float64 (T + 1,)."""
    if levels.dtype != np.uint8 or levels.size > MOST_EXACT:
        return np.bincount(levels.ravel(), minlength=thresholds + 1).astype(np.float64)
    # several times as fast as bincount, which turns all levels into 8-byte numbers first
    counts = cv2.calcHist([np.ascontiguousarray(levels)], [0], None, [256], [0, 256])
    return np.asarray(counts.ravel()[: thresholds + 1], np.float64)  # (256, 1) in OpenCV 4, (256,) in 5


class LabelFreeRule(ABC):
    """Rates every threshold from sums over images.

    `needs` names what an `Evidence` must have: "image", "views". `measure` gives the terms of one image, float64
    (R, T); `rate` turns their sum over `images` images into one number per threshold, (T,), larger = better: by
    default the mean of the only row.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def measure(self, evidence: Evidence) -> Values: ...

    def rate(self, total: Values, images: int) -> Values:
        """The mean over images of the only row."""
        mean: Values = total[0] / images
        return mean


LABEL_FREE_RULES: Registry[type[LabelFreeRule]] = Registry("label-free rule")
