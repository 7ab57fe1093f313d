"""Label maps and masks on disk, value for value: palette indices are never turned into colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from wsl.checks import check_label_map
from wsl.data.images import open_image, turn_upright
from wsl.errors import DataError
from wsl.files import atomic_file
from wsl.types import IGNORE, LabelMap, Mask

_LOSSY_FORMATS = ("JPEG", "MPO", "JPEG2000", "WEBP")


def palette_colours(count: int = 256) -> NDArray[np.uint8]:
    """PASCAL VOC's colour map: class id -> RGB, uint8 (count, 3), count in 1..256.

    The bits of the id are dealt in turn to red, green and blue, highest colour bit first (VOC development kit);
    0 is black and 255 is (224, 224, 192).
    """
    if not 1 <= count <= 256:
        raise DataError(f"count: expected a number of colours in 1..256, but got {count}.")
    ids = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = (ids >> (3 * step + channel)) & 1
            colours[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colours


def read_label_map(path: Path) -> LabelMap:
    """Reads a label map value for value.

    Palette, grey (1 to 32 bits) and black-and-white images give their stored numbers. A colour image is accepted
    only if every colour is one of VOC's palette, and is then turned into class ids.

    Returns:
        uint8 (H, W) in 0..255.

    Raises:
        DataError: no readable image, a lossy format, values above 255, or colours that name no class.
    """
    return _as_label_map(path, _read_values(path))


def read_mask(path: Path) -> Mask:
    """Reads a one-class mask: bool (H, W), True where the pixel is not 0 (not black; not index 0 of a palette).

    Raises:
        DataError: no readable image, or a lossy format (JPEG puts non-zero pixels around every edge).
    """
    values = _read_values(path)
    return (values[:, :, :3] != 0).any(axis=2) if values.ndim == 3 else values != 0


def write_label_map(path: Path, label_map: LabelMap) -> None:
    """Writes uint8 (H, W) as a palette PNG with VOC's colours; same map, same bytes; whole or not at all."""
    check_label_map(label_map, str(path))
    if label_map.size == 0:
        raise DataError(f"{path}: expected a label map with at least one pixel, but got {label_map.shape}.")
    image = PIL.Image.fromarray(np.ascontiguousarray(label_map))
    image.putpalette(palette_colours().tobytes())
    with atomic_file(path) as stream:
        image.save(stream, format="PNG")


def _read_values(path: Path) -> NDArray[Any]:
    """Stored numbers (H, W), or (H, W, 3 or 4) of a colour image."""
    with open_image(path) as image:
        if image.format in _LOSSY_FORMATS:
            raise DataError(f"{path}: {image.format} changes label values; save label maps and masks as PNG.")
        image.load()
        upright = turn_upright(image)
        if upright.mode in ("RGB", "RGBA", "P", "L", "1") or upright.mode.startswith("I"):
            step = _find_grey_step(path, image)
            values = np.array(upright)
            return values if step == 1 else values // step
        raise DataError(
            f"{path}: expected a palette or grey image with the class id in each pixel, "
            f"but its mode is {upright.mode}; save it as an 8-bit palette or grey PNG."
        )


def _find_grey_step(path: Path, image: PIL.Image.Image) -> int:
    """Pillow spreads the values of 2- and 4-bit grey PNGs over 0..255: by 85 and 17."""
    if image.format != "PNG" or image.mode != "L":
        return 1
    with path.open("rb") as stream:
        header = stream.read(26)
    return {2: 85, 4: 17}.get(header[24], 1)


def _as_label_map(path: Path, values: NDArray[Any]) -> LabelMap:
    if values.ndim == 3:
        return _decode_colours(path, values)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > IGNORE:
        raise DataError(f"{path}: expected label values in 0..255, but found {low}..{high}.")
    return values.astype(np.uint8)


def _decode_colours(path: Path, values: NDArray[Any]) -> LabelMap:
    if values.shape[2] == 4 and (values[:, :, 3] != 255).any():
        raise DataError(f"{path}: a label map must not be transparent; save it as a palette PNG of class ids.")
    code = _pack_colours(values)
    table = _pack_colours(palette_colours()[None])[0]
    order = np.argsort(table)
    place = np.minimum(np.searchsorted(table[order], code), len(table) - 1)
    ids = order[place]
    wrong = table[ids] != code
    if wrong.any():
        colour = tuple(int(part) for part in values[wrong][0, :3])
        raise DataError(
            f"{path}: a colour picture, and its colour {colour} is not one of VOC's palette, so it names no class; "
            "save the label map as a palette or grey PNG with the class id in each pixel."
        )
    return ids.astype(np.uint8)


def _pack_colours(values: NDArray[Any]) -> NDArray[np.int32]:
    parts = values.astype(np.int32)
    return (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
