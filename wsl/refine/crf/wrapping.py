"""A published mistake that results depend on: CLIP-ES gives its CRF an image whose bytes have wrapped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError

MEAN_BGR = (104.008, 116.669, 122.675)


def wrap_image(image: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) in BGR order: image minus the mean, cast to bytes, so that -1 becomes 255.

    Code taken over from deeplab-pytorch, where the network wants the mean-free image; CLIP-ES hands it to the CRF as
    well (and others repeat it to compare). Only for equal numbers: a wrapped image has edges that the image has not.
    image: uint8 (H, W, 3) RGB; DataError for anything else.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"wrap_uint8: expected an RGB image uint8 (H, W, 3), but got {image.dtype} {image.shape}.")
    centred = image[..., ::-1].astype(np.float32) - np.asarray(MEAN_BGR, np.float32)
    # By way of int32, for what a cast of negative numbers to bytes gives depends on the processor.
    return centred.astype(np.int32).astype(np.uint8)
