"""Images to network inputs: scaled as IRN does (Pillow bicubic, sides rounded), normalised, stacked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from wsl.cam.preset import Preset
from wsl.types import Image

SMALLEST_SIDE = 32


def input_size(
    size: tuple[int, int], long_side: int | None, scale: float, stride: int, preset: Preset
) -> tuple[int, int]:
    """(height, width) that the network sees of an image of `size`: the aspect ratio is kept.

    `long_side` None keeps the image's own size. A side never falls below 32 pixels, the least that a network of stride
    32 accepts: there the aspect ratio gives way.
    """
    base = 1.0 if long_side is None else long_side / max(size)
    sides = [_input_side(side * base * scale, stride, preset) for side in size]
    return sides[0], sides[1]


def _input_side(side: float, stride: int, preset: Preset) -> int:
    if preset.input_sides == "stride_plus_one":
        return max(round((side - 1) / stride), -(-SMALLEST_SIDE // stride)) * stride + 1
    return max(round(side), SMALLEST_SIDE)


def stack_images(images: Sequence[Image], size: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (H, W, 3) images of any sizes -> float32 (B, 3, *size), normalised by `mean` and `std` in [0, 1] units."""
    arrays = [image if image.shape[:2] == size else _resize(image, size) for image in images]
    batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float().div_(255)
    return batch.sub_(torch.tensor(mean).view(3, 1, 1)).div_(torch.tensor(std).view(3, 1, 1)).contiguous()


def _resize(image: Image, size: tuple[int, int]) -> Image:
    picture = PillowImage.fromarray(image)
    return np.asarray(picture.resize((size[1], size[0]), PillowImage.Resampling.BICUBIC))
