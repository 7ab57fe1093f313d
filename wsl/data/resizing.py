"""The one way in which an image becomes the square that a classifier is trained on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.types import Image


def scale_image(image: Image, size: tuple[int, int]) -> Image:
    """Resamples uint8 (h, w, 3) to `size` (height, width): pixel areas when shrinking, bilinear otherwise."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    scaled: NDArray[np.uint8] = cv2.resize(
        np.ascontiguousarray(image),
        (size[1], size[0]),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return scaled
