"""All bands of an image file at full depth, for methods that can use more than RGB at 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.data.images import MAX_PIXELS, open_image, read_image, turn_upright
from wsl.errors import DataError

FULL_SCALE = 255.0


def read_bands(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Bands float32 (H, W, C), scaled so that 255 is the largest value the file's type can hold.

    Integers keep their depth (16-bit greys are not stretched); floats are mapped from the image's own minimum..maximum
    to 0..255. Of a TIFF every band of the first frame is kept; other formats have 1 or 3. Turned upright as
    `read_image` does, save for a TIFF turned by 90 degrees, which is a DataError, as is all that `read_image` refuses.
    """
    with open_image(path, max_pixels) as image:
        if image.format == "TIFF" and image.mode not in ("1", "P", "CMYK", "YCbCr", "LAB", "HSV"):
            size = image.size[::-1]
        elif image.mode in ("F", "I") or image.mode.startswith("I;"):
            image.load()
            return _scale(np.asarray(turn_upright(image)), path)
        else:
            size = None
    return read_image(path, max_pixels).astype(np.float32) if size is None else _scale(_read_tiff(path, size), path)


def _read_tiff(path: Path, size: tuple[int, int]) -> NDArray[Any]:
    """All bands of the first frame, (H, W) or (H, W, C); Pillow would cut RGB to 8 bits."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            values, planar = np.asarray(page.asarray()), page.axes.startswith("S")
    except Exception as error:  # whatever the many codecs raise for a damaged or foreign file
        raise DataError(f"{path}: refine.bands=all cannot read this TIFF ({error}); use refine.bands=rgb.") from None
    values = np.moveaxis(values, 0, -1) if planar else values
    if values.shape[:2] != size:
        raise DataError(f"{path}: expected bands of {size}, but got {values.shape[:2]} (height, width).")
    return values


def _scale(values: NDArray[Any], path: Path) -> NDArray[np.float32]:
    planes = values if values.ndim == 3 else values[..., None]
    if np.issubdtype(planes.dtype, np.integer) and planes.dtype.itemsize <= 2:
        largest = float(np.iinfo(planes.dtype).max)
        return (planes * np.float32(FULL_SCALE / largest)).astype(np.float32)
    if not np.isfinite(planes).all():
        raise DataError(f"{path}: refine.bands=all expects finite bands, but some are NaN or inf.")
    low, high = float(planes.min()), float(planes.max())
    span = high - low or 1.0
    return ((planes.astype(np.float64) - low) * (FULL_SCALE / span)).astype(np.float32)
