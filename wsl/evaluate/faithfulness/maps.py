"""What all faithfulness metrics share: the checked pair of image and map, and the order of its pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_image, check_same_size
from wsl.errors import DataError
from wsl.types import Image

ScoreMap = NDArray[np.float32]  # (H, W) in [0, 1]
Colour = tuple[float, float, float]  # RGB in [0, 255]
Images = NDArray[np.float32]  # (N, H, W, 3) RGB in [0, 255]
Values = NDArray[np.float64]
Predict = Callable[[Images], Values]  # images -> (N,) scores of the class in question

BLACK: Colour = (0.0, 0.0, 0.0)
IMAGENET_MEAN: Colour = (123.675, 116.28, 103.53)
ROUNDING = 1e-4  # maps normalised in float32 may pass 1 by a few units in the last place


def check_map(score_map: NDArray[np.floating], name: str = "score map") -> None:
    """Raises DataError unless `score_map` is a finite floating (H, W) array with values in [0, 1]."""
    if score_map.ndim != 2 or score_map.size == 0 or not np.issubdtype(score_map.dtype, np.floating):
        raise DataError(f"{name}: expected floating (H, W), but got {score_map.dtype} {score_map.shape}.")
    if not np.isfinite(score_map).all():
        raise DataError(f"{name}: expected finite values, but {int((~np.isfinite(score_map)).sum())} are NaN or inf.")
    low, high = float(score_map.min()), float(score_map.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise DataError(f"{name}: expected values in [0, 1], but got {low:g}..{high:g}; normalise the map first.")


def check_pair(image: Image, score_map: NDArray[np.floating]) -> None:
    """Raises DataError unless `image` is uint8 (H, W, 3) and `score_map` a map of the same size."""
    check_image(image)
    check_map(score_map)
    check_same_size(score_map, image, "score map", "image")


def rank_pixels(score_map: NDArray[np.floating]) -> NDArray[np.intp]:
    """Flat indices of all pixels, the highest score first, equal scores in reading order: int (H * W,).

    Read backwards it is the order from the least relevant pixel on, so both directions use one sort.
    """
    check_map(score_map)
    return np.argsort(-score_map.ravel(), kind="stable")


def choose_counts(pixels: int, shares: NDArray[np.floating]) -> NDArray[np.int64]:
    """How many of `pixels` the `shares` in [0, 1] are, rounded to whole pixels (halves to the even one)."""
    return np.rint(np.asarray(shares, np.float64) * pixels).astype(np.int64)
