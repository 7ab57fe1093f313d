"""Checks at the borders of the program. Each says what was expected and what was found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError


def check_image(image: NDArray[Any], name: str = "image") -> None:
    """Raises DataError unless `image` is uint8 (H, W, 3) with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(f"{name}: expected uint8 (H, W, 3), but got {image.dtype} {image.shape}.")


def check_scores(scores: NDArray[Any], name: str = "scores") -> None:
    """Raises DataError unless `scores` is a finite floating (K, h, w) array."""
    if scores.ndim != 3 or not np.issubdtype(scores.dtype, np.floating):
        raise DataError(f"{name}: expected floating (K, h, w), but got {scores.dtype} {scores.shape}.")
    if not np.isfinite(scores).all():
        raise DataError(f"{name}: expected finite scores, but {int((~np.isfinite(scores)).sum())} are NaN or inf.")


def check_label_map(label_map: NDArray[Any], name: str = "label map") -> None:
    """Raises DataError unless `label_map` is uint8 (H, W)."""
    if label_map.dtype != np.uint8 or label_map.ndim != 2:
        raise DataError(f"{name}: expected uint8 (H, W), but got {label_map.dtype} {label_map.shape}.")


def check_same_size(first: NDArray[Any], second: NDArray[Any], first_name: str, second_name: str) -> None:
    """Raises DataError unless both have the same (height, width) in their first two axes."""
    if first.shape[:2] != second.shape[:2]:
        raise DataError(
            f"{first_name} is {first.shape[0]}x{first.shape[1]} but {second_name} is "
            f"{second.shape[0]}x{second.shape[1]} (height x width): sizes must be equal, nothing is resized."
        )


def check_range(value: float, low: float, high: float, name: str) -> None:
    """Raises DataError unless low <= value <= high."""
    if not low <= value <= high:
        raise DataError(f"{name}: expected a value in [{low}, {high}], but got {value}.")
