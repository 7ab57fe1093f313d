"""Boxes of a score map at every 8-bit level: the inner loop of MaxBoxAcc."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

LEVELS = 256
_FEW = 16  # contours, up to which asking each for its box and area is quicker than arrays of all


def check_map(score_map: NDArray[Any], name: str = "score map") -> None:
    """Raises DataError unless `score_map` is a finite floating (H, W) with at least one pixel."""
    if score_map.ndim != 2 or not np.issubdtype(score_map.dtype, np.floating) or score_map.size == 0:
        raise DataError(f"{name}: expected floating (H, W), but got {score_map.dtype} {score_map.shape}.")
    if not np.isfinite(score_map).all():
        raise DataError(f"{name}: expected finite scores, but {int((~np.isfinite(score_map)).sum())} are NaN or inf.")


def to_8_bit(score_map: NDArray[np.floating], name: str = "score map") -> NDArray[np.uint8]:
    """Min-max normalised map, times 255, cut (not rounded) to uint8 (H, W), in float64; all 0 for a constant map.

    DataError for a map that is not floating (H, W) or holds NaN or inf.
    """
    check_map(score_map, name)
    values = score_map.astype(np.float64)
    values -= values.min()
    highest = values.max()
    if highest > 0:
        values /= highest
    values *= 255
    return values.astype(np.uint8)


def to_8_bit_as_given(score_map: NDArray[np.floating], name: str = "score map") -> NDArray[np.uint8]:
    """Map times 255, cut (not rounded) to uint8 (H, W), in float64.

    DataError for a map that is not floating (H, W), not finite or not in [0, 1].
    """
    check_map(score_map, name)
    if score_map.min() < 0 or score_map.max() > 1:
        raise DataError(
            f"{name}: expected scores in [0, 1], which this protocol takes as they are, but they range from "
            f"{score_map.min():g} to {score_map.max():g}: normalise the maps or choose a protocol that does."
        )
    return (score_map.astype(np.float64) * 255).astype(np.uint8)


def to_levels(thresholds: ArrayLike, peak: int = 255) -> NDArray[np.intp]:
    """The 8-bit level int(t * peak) of each threshold in [0, 1), in float64, for a map whose largest value is `peak`.

    A pixel is foreground where it is above the level.
    """
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.size == 0 or not ((values >= 0) & (values < 1)).all():
        raise DataError("thresholds: expected at least one, all in [0, 1).")
    return (values * peak).astype(np.intp)
