"""The best IoU of every (image, class) pair at every threshold: any accuracy, threshold or interval follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError


@dataclass(frozen=True)
class BoxCurves:
    """P pairs in the order of (image id, class id), whatever the order in which they came.

    thresholds: float64 (C,), ascending; of thresholds that no map tells apart (they fall on the same 8-bit level) only
    the lowest, so that 1000 leave 255. best: float64 (P, 2, C), the best IoU with a true box, row 0 of the largest
    contour (V1), row 1 of all contours (V2); not rounded to float32, so that best >= d is exactly the hit that was
    counted. shares: float32 (P,), the largest true box as a share of the image, in [0, 1].
    """

    image_ids: tuple[str, ...]
    class_ids: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    best: NDArray[np.float64]
    shares: NDArray[np.float32]

    def __post_init__(self) -> None:
        pairs, columns = len(self.image_ids), len(self.thresholds)
        shapes = (self.class_ids.shape, self.best.shape, self.shares.shape)
        if shapes != ((pairs,), (pairs, 2, columns), (pairs,)):
            raise DataError(
                f"Curves of {pairs} pairs at {columns} thresholds: expected class_ids ({pairs},), best "
                f"({pairs}, 2, {columns}) and shares ({pairs},), but got {', '.join(map(str, shapes))}."
            )
        if len(set(zip(self.image_ids, self.class_ids.tolist(), strict=True))) < pairs:
            raise DataError("Box curves: expected every image and class once, but a pair appears twice.")

    def hits(self, version: int, iou: float) -> NDArray[np.bool_]:
        """bool (P, C): whether the pair is found at each threshold; version 1 or 2, IoU >= `iou`."""
        if version not in (1, 2):
            raise ConfigError(f"version: expected 1 or 2, but got {version}.")
        return self.best[:, version - 1] >= iou

    def merge(self, other: BoxCurves) -> BoxCurves:
        """The pairs of both; ConfigError when the thresholds differ."""
        if not np.array_equal(self.thresholds, other.thresholds):
            raise ConfigError("Only box curves with the same thresholds can be joined.")
        return sort_curves(
            self.image_ids + other.image_ids,
            np.concatenate([self.class_ids, other.class_ids]),
            self.thresholds,
            np.concatenate([self.best, other.best]),
            np.concatenate([self.shares, other.shares]),
        )


def sort_curves(
    image_ids: tuple[str, ...],
    class_ids: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    best: NDArray[np.float64],
    shares: NDArray[np.float32],
) -> BoxCurves:
    """The record of these pairs, brought into its order."""
    order = sorted(range(len(image_ids)), key=lambda index: (image_ids[index], int(class_ids[index])))
    names = tuple(image_ids[index] for index in order)
    return BoxCurves(names, class_ids[order], thresholds, best[order], shares[order])
