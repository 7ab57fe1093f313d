"""Reading images: always RGB uint8, turned upright, whatever the file holds. Pillow only.

OpenCV is not used for reading: it returns None for a missing file and loses the indices of palette images.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Transpose

from wsl.errors import DataError
from wsl.types import Image

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".jp2"}
)
MAX_PIXELS = 250_000_000

# Raster formats only: some other plugins of Pillow (EPS) start a foreign program to decode.
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
# What Pillow's plugins raise for a damaged file, found by fuzzing and in their sources.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    PIL.Image.DecompressionBombError,
)
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_limit_lock = threading.Lock()


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image file says: `size` is the upright (height, width), `mode` Pillow's, e.g. "L"."""

    size: tuple[int, int]
    mode: str
    format: str


@contextmanager
def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[PIL.Image.Image]:
    """An opened Pillow image, not yet decoded; every way in which opening or decoding it fails is a DataError.

    Raises:
        DataError: the file is missing, empty, no image, damaged, without pixels, or above `max_pixels`.
    """
    try:
        with _open_unlimited(path) as image:
            _check_pixel_count(path, image, max_pixels)
            yield image
    except FileNotFoundError:
        raise DataError(f"{path}: no such image file.") from None
    except PIL.UnidentifiedImageError:
        raise DataError(f"{path}: {_why_unidentified(path)}") from None
    except _DECODE_ERRORS as error:
        raise DataError(f"{path}: the image is damaged or cut short ({error}); replace or remove it.") from None


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> Image:
    """Reads any raster image as RGB.

    EXIF orientation is applied; transparency is laid on white; CMYK and palettes are converted; of several frames
    the first is read; colour profiles are not applied. Greys deeper than 8 bits (16- and 32-bit integers, floats)
    are mapped linearly from the image's own minimum..maximum to 0..255, a constant image and NaN/inf to 0.

    Args:
        path: image file.
        max_pixels: refuse larger images (a small file can hold an image that fills the memory).

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: the file is missing, empty, no image, damaged, without pixels, or above `max_pixels`.
    """
    with open_image(path, max_pixels) as image:
        image.load()
        return _to_rgb(turn_upright(image))


def read_image_info(path: Path, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Upright size, mode and format from the header alone, without decoding pixels. Errors as `read_image`."""
    with open_image(path, max_pixels) as image:
        width, height = image.size
        # Pillow already reports the turned size for TIFF.
        swapped = image.format != "TIFF" and _read_orientation(image) >= 5
        size = (width, height) if swapped else (height, width)
        return ImageInfo(size=size, mode=image.mode, format=image.format or "")


def read_image_size(path: Path) -> tuple[int, int]:
    """Upright (height, width) without decoding pixels. Errors as `read_image`, except damage in the pixels."""
    return read_image_info(path).size


def turn_upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """The image turned by its EXIF orientation; a damaged or missing tag means upright."""
    turn = _TURNS.get(_read_orientation(image))
    return image if turn is None else image.transpose(turn)


def _open_unlimited(path: Path) -> PIL.Image.Image:
    """Pillow's own limit is global and fixed, so it is lifted for the moment of opening; ours comes right after."""
    with _limit_lock:
        limit = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = None
        try:
            return PIL.Image.open(path, formats=_FORMATS)
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _check_pixel_count(path: Path, image: PIL.Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height == 0:
        raise DataError(f"{path}: the image has no pixels ({height}x{width}).")
    if width * height > max_pixels:
        raise DataError(
            f"{path}: the image has {width * height} pixels ({height}x{width}), above the limit of {max_pixels}; "
            "shrink it, or raise max_pixels if you trust it."
        )


def _why_unidentified(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the image file is empty (0 bytes)."
    return "not an image that can be read; expected JPEG, PNG, BMP, TIFF, WebP, GIF, PPM or JPEG 2000."


def _read_orientation(image: PIL.Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: PIL.Image.Image) -> Image:
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _stretch_to_uint8(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        colour = image.convert("RGBA")
        paper = PIL.Image.new("RGBA", colour.size, (255, 255, 255, 255))
        image = PIL.Image.alpha_composite(paper, colour)
    return np.array(image.convert("RGB"))


def _stretch_to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Linear from the finite minimum..maximum to 0..255."""
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[finite].min(), values[finite].max()
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    # Halved first: the span of two huge floats of opposite sign would overflow.
    share = (np.where(finite, values, low) / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(share * 255).astype(np.uint8)
