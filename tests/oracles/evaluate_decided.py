"""Precision of what label maps decide, one pixel at a time."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray


def precision_by_pixel(pairs: Sequence[tuple[NDArray, NDArray]], wanted: Sequence[int]) -> float | None:
    """Share of the pixels predicted as one of the `wanted` classes that are right; truth 255 is left out."""
    decided = right = 0
    for truth, prediction in pairs:
        for true, predicted in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if true != 255 and predicted in wanted:
                decided += 1
                right += true == predicted
    return right / decided if decided else None
