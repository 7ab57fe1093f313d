"""Random changes of a training image. All randomness comes from the generator that is passed in."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.data.resizing import scale_image
from wsl.types import Image

CROP_AREA = (0.5, 1.0)  # part of the frame that a random crop keeps; small objects must survive it
CROP_ASPECT = (3 / 4, 4 / 3)
CROP_MARGIN = 1.25  # working images are kept this much larger when they will be cropped
COLOUR_RANGE = 0.3  # brightness, contrast and saturation are scaled by 1 - 0.3 to 1 + 0.3
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment_image(
    image: Image, *, image_size: int, resize: str, augment: tuple[str, ...], generator: np.random.Generator
) -> Image:
    """A random view (image_size, image_size, 3) uint8 of an image uint8 (h, w, 3).

    The same generator state gives the same view. resize "stretch" maps the whole frame, "crop" a random square.
    """
    top, left, height, width = find_crop(image.shape[:2], resize, "crop" in augment, generator)
    view = scale_image(image[top : top + height, left : left + width], (image_size, image_size))
    if "hflip" in augment and generator.random() < 0.5:
        view = view[:, ::-1]
    if "vflip" in augment and generator.random() < 0.5:
        view = view[::-1]
    if "rotate90" in augment:
        view = np.rot90(view, int(generator.integers(4)))
    view = np.ascontiguousarray(view)
    return change_colours(view, generator) if "color" in augment else view


def centre_image(image: Image, *, image_size: int, resize: str) -> Image:
    """The view for validation: the whole frame ("stretch") or its centred square ("crop"), image_size square."""
    height, width = image.shape[:2]
    if resize == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    return scale_image(image, (image_size, image_size))


def find_crop(
    size: tuple[int, ...], resize: str, random_area: bool, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """A random window (top, left, height, width) in pixels of a frame of `size` (height, width).

    The largest square for resize "crop", the whole frame for "stretch"; with `random_area` a part of it whose area
    and aspect are drawn from CROP_AREA and CROP_ASPECT (Szegedy et al. 2015, section 6).
    """
    height, width = size[0], size[1]
    if resize == "crop":
        height = width = min(height, width)
    if random_area:
        area = generator.uniform(*CROP_AREA)
        aspect = math.exp(generator.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
        height = max(1, round(height * min(1.0, math.sqrt(area / aspect))))
        width = max(1, round(width * min(1.0, math.sqrt(area * aspect))))
    top = int(generator.integers(size[0] - height + 1))
    left = int(generator.integers(size[1] - width + 1))
    return top, left, height, width


def change_colours(image: Image, generator: np.random.Generator) -> Image:
    """Scales brightness, contrast and saturation by random factors, as one linear map of RGB.

    Contrast moves about the image's mean brightness, saturation about each pixel's grey value.
    """
    brightness, contrast, saturation = generator.uniform(1 - COLOUR_RANGE, 1 + COLOUR_RANGE, 3)
    grey = np.tile(np.array(LUMA), (3, 1))
    mix = contrast * brightness * (saturation * np.eye(3) + (1 - saturation) * grey)
    mean = brightness * float(np.dot(LUMA, image.reshape(-1, 3).mean(0)))
    offset = np.full((3, 1), (1 - contrast) * mean)
    changed: NDArray[np.uint8] = cv2.transform(image, np.hstack([mix, offset]))
    return changed
