"""COCO's run-length encoding of masks, checked before it is trusted.

Format: runs of 0 and 1 in turn, beginning with 0, down the columns. "Compressed" writes each run in 5-bit groups,
lowest first, as characters 48..111: bit 5 says that another group follows, bit 4 of the last group is the sign,
and from the fourth run on the difference to the run two places before is written.
Polygons are drawn by pycocotools, so that their pixels are the official ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pycocotools.mask
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Mask

_MAX_PIXELS = 250_000_000
_MAX_GROUPS = 7  # 35 bits: more than any run of a 32-bit encoder needs


def encode_mask(mask: Mask) -> dict[str, Any]:
    """COCO's compressed RLE of a mask.

    Args:
        mask: bool (H, W), at least one pixel.

    Returns:
        {"size": [height, width], "counts": str}, ready for JSON.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_ or mask.size == 0:
        raise DataError(f"mask: expected bool (H, W) with at least one pixel, but got {mask.dtype} {mask.shape}.")
    rle = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in mask.shape], "counts": rle["counts"].decode("ascii")}


def decode_mask(rle: dict[str, Any]) -> Mask:
    """The bool (H, W) mask of an RLE dict, compressed ("counts" is text) or not ("counts" is a list of runs).

    Raises:
        DataError: keys are missing, the counts are garbage, or they do not sum to height * width.
    """
    height, width = _read_size(rle)
    counts = rle.get("counts")
    if isinstance(counts, (str, bytes)):
        runs = _uncompress(counts)
    elif isinstance(counts, (list, tuple)):
        runs = _check_runs(counts)
    else:
        raise DataError(f"RLE: expected 'counts' as text or a list of runs, but got {type(counts).__name__}.")
    if (runs < 0).any() or (runs > height * width).any() or int(runs.sum()) != height * width:
        raise DataError(f"RLE: the runs must be >= 0 and sum to {height * width} ({height}x{width}), but do not.")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T.copy()


def segmentation_to_mask(segmentation: Any, size: tuple[int, int]) -> Mask:
    """The bool (H, W) mask of COCO's `segmentation` field: RLE dict of either kind, or a list of polygons.

    Args:
        segmentation: RLE dict, or polygons as flat lists [x1, y1, x2, y2, ...] in pixels; their union is drawn.
        size: (height, width) of the image.

    Raises:
        DataError: the segmentation is garbage or of another size.
    """
    if isinstance(segmentation, dict):
        mask = decode_mask(segmentation)
        if mask.shape != tuple(size):
            raise DataError(
                f"RLE: its size {mask.shape[0]}x{mask.shape[1]} is not the image's {size[0]}x{size[1]} "
                "(height x width)."
            )
        return mask
    if not isinstance(segmentation, (list, tuple)) or not segmentation:
        raise DataError(f"segmentation: expected an RLE dict or a list of polygons, but got {segmentation!r:.60}.")
    height, width = size
    polygons = [_check_polygon(polygon, max(height, width)) for polygon in segmentation]
    merged = pycocotools.mask.merge(pycocotools.mask.frPyObjects(polygons, height, width))
    return np.asarray(pycocotools.mask.decode(merged)).astype(np.bool_)


def _read_size(rle: dict[str, Any]) -> tuple[int, int]:
    size = rle.get("size")
    right = isinstance(size, (list, tuple)) and len(size) == 2
    if not right or not all(isinstance(side, int) and side > 0 for side in size):  # type: ignore[union-attr]
        raise DataError(f"RLE: expected 'size' as [height, width] in pixels, but got {size!r:.60}.")
    height, width = size  # type: ignore[misc]
    if height * width > _MAX_PIXELS:
        raise DataError(f"RLE: {height}x{width} is above the limit of {_MAX_PIXELS} pixels.")
    return height, width


def _check_runs(counts: list[Any] | tuple[Any, ...]) -> NDArray[np.int64]:
    try:
        runs = np.array(counts)
        exact = runs.astype(np.int64)
        if runs.ndim == 1 and (exact == runs).all():
            return exact
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"RLE: expected a list of whole numbers as 'counts', but got {counts!r:.60}.")


def _uncompress(counts: str | bytes) -> NDArray[np.int64]:
    """The runs of compressed counts, int64 (n,); vectorised over the characters."""
    text = counts.encode("utf-8") if isinstance(counts, str) else counts
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    last = (codes & 32) == 0
    if len(codes) == 0 or (codes < 0).any() or (codes > 63).any() or not last[-1]:
        raise DataError(f"RLE: 'counts' is not COCO's compressed form: {counts!r:.60}.")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    if (ends - starts).max() >= _MAX_GROUPS:
        raise DataError(f"RLE: 'counts' holds a run that is too long: {counts!r:.60}.")
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    runs = np.add.reduceat((codes & 31) << (5 * place), starts)
    runs -= np.where(codes[ends] & 16, np.int64(1) << (5 * (place[ends] + 1)), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _check_polygon(polygon: Any, longest_side: int) -> list[float]:
    """The polygon as plain floats. The C code would take 4 numbers for a box, and far points fill the memory."""
    try:
        points = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2:
        raise DataError(f"polygon: expected a flat list of at least 3 points x, y, but got {polygon!r:.60}.")
    if not np.isfinite(points).all() or (points < -longest_side).any() or (points > 2 * longest_side).any():
        raise DataError(f"polygon: points must lie near the image (longest side {longest_side}), not {polygon!r:.60}.")
    return [float(value) for value in points]
