"""Counts of found objects per class, size, IoU and threshold: what MaxBoxAcc keeps of the pairs it has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.evaluate.segmentation.confusion import Counts

COCO_SIZE_LIMITS = (1 / 300, 3 / 100)  # 32 x 32 and 96 x 96 pixels as shares of an image of 640 x 480
SIZES = ("small", "medium", "large")


class BoxHits:
    """Number of (image, class) pairs whose IoU is at least d, for each d of `iou_thresholds` and each of C thresholds.

    `size_limits`: two rising shares of the image; objects below the first are small, from the second on large.
    """

    def __init__(self, iou_thresholds: tuple[float, ...], columns: int, size_limits: tuple[float, ...] = ()) -> None:
        if size_limits and not (len(size_limits) == 2 and 0 < size_limits[0] < size_limits[1] < 1):
            raise ConfigError(f"size_limits: expected two rising shares of the image in (0, 1), but got {size_limits}.")
        self.iou_thresholds, self.size_limits = iou_thresholds, size_limits
        self._limits = np.array(iou_thresholds)[None, :, None]
        self._shape = (2, len(iou_thresholds), columns)
        self._hits: dict[tuple[int, int], Counts] = {}  # (class id, size) -> (version, IoU threshold, threshold)
        self._pairs: dict[tuple[int, int], int] = {}

    def add(self, class_id: int, share: float, best: NDArray[np.float64]) -> None:
        """Adds one pair: the share of the image that its object takes, and its best IoU (2, C)."""
        key = (class_id, int(np.searchsorted(self.size_limits, share, side="right")))
        self._add(key, 1, best[:, None, :] >= self._limits)

    def merge(self, other: BoxHits) -> None:
        """Adds the counts of `other`, made with the same settings."""
        for key, hits in other._hits.items():
            self._add(key, other._pairs[key], hits)

    def count(self, version: int, row: int, class_id: int | None = None, size: int | None = None) -> tuple[int, Counts]:
        """(pairs, pairs found at each threshold int64 (C,)) for one version and IoU, of all or one class and size."""
        keys = [key for key in self._hits if class_id in (None, key[0]) and size in (None, key[1])]
        found = sum((self._hits[key][version, row] for key in keys), np.zeros(self._shape[2], np.int64))
        return sum(self._pairs[key] for key in keys), found

    def class_ids(self) -> list[int]:
        """The classes that have a pair, ascending."""
        return sorted({class_id for class_id, _ in self._hits})

    def describe_size(self, size: int) -> str:
        """What one of `SIZES` means."""
        low, high = self.size_limits
        limits = (f"below {low:.3g}", f"from {low:.3g} to below {high:.3g}", f"from {high:.3g}")
        return f"{SIZES[size]}: largest true box {limits[size]} of the image"

    def _add(self, key: tuple[int, int], pairs: int, hits: NDArray[np.integer] | NDArray[np.bool_]) -> None:
        if key not in self._hits:
            self._hits[key] = np.zeros(self._shape, np.int64)
        self._hits[key] += hits
        self._pairs[key] = self._pairs.get(key, 0) + pairs
