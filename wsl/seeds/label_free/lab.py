"""Colours in CIE Lab, where distances are roughly as the eye sees them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Image


def to_lab(image: Image | None) -> NDArray[np.float32]:
    """float32 (H, W, 3) in CIE units (L 0..100) of uint8 sRGB (H, W, 3). DataError when there is no image."""
    if image is None:
        raise DataError("label-free threshold: the rule needs the image, but it is not given.")
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
