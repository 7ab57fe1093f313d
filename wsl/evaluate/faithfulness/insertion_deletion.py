"""Insertion and deletion: how fast the class appears, or goes, when pixels come or go by their rank in the map.

Petsiuk et al., RISE, BMVC 2018: the area under the class score over the share of changed pixels. Deletion
starts from the image and paints pixels in one colour (the authors: the mean, 0 after normalisation), insertion starts
from a blurred image (the authors: Gaussian of 11 x 11 with sigma 5) and puts pixels back. Ties go in reading order.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.maps import IMAGENET_MEAN, Colour, Images, Values, choose_counts
from wsl.types import Image

BLUR_SIDE, BLUR_SIGMA = 11, 5.0


def make_deletions(image: Image, order: NDArray[np.intp], steps: int, colour: Colour = IMAGENET_MEAN) -> Images:
    """The image with 0, 1/steps, .., all pixels of `order` painted in `colour`: float32 (steps + 1, H, W, 3)."""
    painted = np.broadcast_to(np.array(colour, np.float32), image.shape)
    return replace_by_rank(image.astype(np.float32), painted, order, steps)


def make_insertions(image: Image, order: NDArray[np.intp], steps: int) -> Images:
    """The blurred image with 0, 1/steps, .., all pixels of `order` put back: float32 (steps + 1, H, W, 3)."""
    sharp = image.astype(np.float32)
    return replace_by_rank(blur_image(sharp), sharp, order, steps)


def blur_image(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian of 11 x 11 pixels with sigma 5, the border mirrored: float32 (H, W, 3)."""
    return np.asarray(cv2.GaussianBlur(image, (BLUR_SIDE, BLUR_SIDE), BLUR_SIGMA), np.float32)


def replace_by_rank(
    start: NDArray[np.float32], end: NDArray[np.float32], order: NDArray[np.intp], steps: int
) -> Images:
    """From `start` to `end` (H, W, 3) in `steps` equal parts of the pixels of `order`: float32 (steps + 1, H, W, 3)."""
    if steps < 1:
        raise ConfigError(f"steps: expected at least 1, but got {steps}.")
    if start.shape[0] * start.shape[1] != len(order):
        raise DataError(f"order: expected {start.shape[0] * start.shape[1]} pixels, but got {len(order)}.")
    counts = choose_counts(len(order), np.arange(steps + 1) / steps)
    changed_from = np.searchsorted(counts, np.arange(len(order)), side="right")  # the first image that has the pixel
    first = np.empty(len(order), np.int64)
    first[order] = changed_from
    changed = first.reshape(1, *start.shape[:2], 1) <= np.arange(steps + 1).reshape(-1, 1, 1, 1)
    return np.where(changed, end, start)


def compute_area(scores: Values) -> float:
    """Area under equally spaced scores (N,), N >= 2, over [0, 1] by the trapezoid rule."""
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():
        raise DataError(f"scores: expected at least 2 finite values, but got {scores}.")
    return float((scores.sum() - (scores[0] + scores[-1]) / 2) / (len(scores) - 1))
