"""Regions of a label map as the masks of single objects, each in its own window: the cost is that of the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycocotools.mask
from numpy.typing import NDArray

from wsl.localize.components import find_components
from wsl.types import BACKGROUND, IGNORE, Box, LabelMap, Mask

INSTANCES = ("components", "classes")


@dataclass(frozen=True)
class RegionMask:
    """Pixels of one object: `window` bool (h, w) has its first pixel at (`top`, `left`) of an image of `size` (H, W).

    The window is as small as it can be: each side of it holds a pixel.
    """

    class_id: int
    window: Mask
    top: int
    left: int
    size: tuple[int, int]

    @property
    def box(self) -> Box:
        """The extent, half-open."""
        height, width = self.window.shape
        return Box((float(self.left), float(self.top), float(self.left + width), float(self.top + height)), 0)

    @property
    def mask(self) -> Mask:
        """bool (H, W)."""
        mask = np.zeros(self.size, np.bool_)
        height, width = self.window.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.window
        return mask

    def encode(self) -> dict[str, Any]:
        """COCO's compressed RLE of the mask, the same as `encode_mask` of it, from the pixels of the window alone."""
        height, width = self.size
        columns, rows = np.nonzero(self.window.T)
        runs = _find_runs((self.left + columns) * height + self.top + rows, height * width)
        rle = pycocotools.mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
        return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def _find_runs(places: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """Lengths of runs of 0 and 1 in turn, from 0, of `total` values that are 1 at `places`, which ascend."""
    last = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate([[0], last + 1])]
    ends = places[np.concatenate([last, [len(places) - 1]])] + 1
    changes = np.stack([starts, ends], axis=1).ravel()
    runs = np.diff(changes, prepend=0, append=total)
    return runs if runs[-1] else runs[:-1]


def iterate_masks(label_map: LabelMap, instances: str, min_pixels: int = 1) -> Iterator[tuple[int, Mask]]:
    """(class_id, mask bool (H, W)) of `iterate_regions`."""
    for region in iterate_regions(label_map, instances, min_pixels):
        yield region.class_id, region.mask


def iterate_regions(label_map: LabelMap, instances: str, min_pixels: int = 1) -> Iterator[RegionMask]:
    """Each class of a label map uint8 (H, W), or each of its 8-connected components of at least `min_pixels` pixels.

    By class id, then by first pixel in reading order. `min_pixels` holds for components alone.
    """
    for class_id in np.flatnonzero(np.bincount(label_map.ravel(), minlength=IGNORE + 1)[:IGNORE]):
        if class_id == BACKGROUND:
            continue
        mask = label_map == class_id
        yield from _split(mask, int(class_id), min_pixels) if instances == "components" else [_cut(mask, int(class_id))]


def _split(mask: Mask, class_id: int, min_pixels: int) -> list[RegionMask]:
    """The components by their first pixel, whatever order OpenCV has. Small ones are passed over before any work."""
    labels, stats = find_components(mask)
    size = (mask.shape[0], mask.shape[1])
    parts = []
    for number in np.flatnonzero(stats[:, 4] >= min_pixels):
        x, y, width, height = (int(value) for value in stats[number, :4])
        parts.append(RegionMask(class_id, labels[y : y + height, x : x + width] == number + 1, y, x, size))
    return sorted(parts, key=lambda part: (part.top, part.left + int(part.window[0].argmax())))


def _cut(mask: Mask, class_id: int) -> RegionMask:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return RegionMask(class_id, window, int(rows[0]), int(columns[0]), (mask.shape[0], mask.shape[1]))
