"""Regions of an image by number, their shape, and sums over each of them in one pass whatever their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.localize.components import find_components
from wsl.types import Mask

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Regions:
    """Disjoint regions, none of them empty: `labels` int32 (H, W), 0 = none, 1..count. Results are float64 (count,)."""

    labels: NDArray[np.int32]
    count: int

    @cached_property
    def _pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Flat indices of the pixels that are in some region, and the regions that they are in, from 0."""
        flat = self.labels.ravel()
        where = np.flatnonzero(flat)
        return where, flat[where].astype(np.intp) - 1

    @cached_property
    def areas(self) -> Values:
        """Pixels of each region."""
        return np.bincount(self._pixels[1], minlength=self.count).astype(np.float64)

    def sum(self, plane: NDArray[np.floating]) -> Values:
        """Sum of a plane (H, W) over each region."""
        where, ids = self._pixels
        return np.asarray(np.bincount(ids, plane.ravel()[where], self.count), np.float64)

    def mean(self, plane: NDArray[np.floating]) -> Values:
        """Mean of a plane (H, W) over each region."""
        return self.sum(plane) / self.areas

    def keep(self, mask: Mask) -> Regions:
        """The parts of the regions inside a mask bool (H, W), under the same numbers; they may be empty."""
        return Regions(np.where(mask, self.labels, np.int32(0)), self.count)

    def largest_overlap(self, other: Regions) -> Values:
        """The largest IoU in [0, 1] of each region with one of `other`'s; 0 where none meets it."""
        where, ids = self._pixels
        theirs = other.labels.ravel()[where].astype(np.intp)
        keys, shared = np.unique((ids * (other.count + 1) + theirs)[theirs > 0], return_counts=True)
        mine, partner = keys // (other.count + 1), keys % (other.count + 1) - 1
        best = np.zeros(self.count)
        np.maximum.at(best, mine, shared / (self.areas[mine] + other.areas[partner] - shared))
        return best


def find_regions(mask: Mask, min_pixels: int = 1) -> Regions:
    """The 8-connected components of a mask bool (H, W), numbered by their first pixel in reading order.

    Those of fewer than `min_pixels` pixels are left out, as if the mask did not have them.
    """
    labels, stats = find_components(mask)
    where = np.flatnonzero(labels)[::-1]
    first = np.zeros(len(stats) + 1, np.intp)
    first[labels.ravel()[where]] = where  # of several values for one place the last is taken: the first pixel
    kept = 1 + np.flatnonzero(stats[:, 4] >= min_pixels)
    number = np.zeros(len(stats) + 1, np.int32)
    number[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1)
    return Regions(number[labels], len(kept))


def count_least_pixels(min_area: float, size: Sequence[int]) -> int:
    """The fewest pixels of a region that is at least `min_area`: pixels if 1 or more, else a fraction of `size` (H, W).

    ConfigError for a negative or infinite area.
    """
    if not 0 <= min_area < math.inf:
        raise ConfigError(
            f"min_area: expected pixels (1 or more) or a fraction of the image (below 1), but got {min_area}."
        )
    return max(1, math.ceil(min_area if min_area >= 1 else min_area * (size[0] * size[1])))


def as_one_region(mask: Mask) -> Regions:
    """A mask bool (H, W) as a single region, in however many pieces; no region where it is empty."""
    return Regions(mask.astype(np.int32), int(mask.any()))


def find_border(regions: Regions) -> Mask:
    """bool (H, W): pixels of regions with one of the eight neighbours outside of their region.

    Beyond the frame of the image nothing is known, so it makes no border.
    """
    height, width = regions.labels.shape
    padded = np.pad(regions.labels, 1, mode="edge")
    border = np.zeros((height, width), np.bool_)
    for row in range(3):
        for column in range(3):
            border |= padded[row : row + height, column : column + width] != regions.labels
    return border & (regions.labels > 0)


def compute_compactness(regions: Regions) -> Values:
    """Isoperimetric quotient 16 A / P^2 in (0, 1] of each region.

    A counts pixels, P the pixel sides between the region and anything else, the frame of the image included. A square
    has 1; a thin or ragged region, or one in many pieces, much less.
    """
    sides = np.zeros(regions.count + 1)
    padded = np.pad(regions.labels, 1)
    for first, second in ((padded[1:], padded[:-1]), (padded[:, 1:], padded[:, :-1])):
        differ = first != second
        for side in (first, second):
            sides += np.bincount(side[differ], minlength=regions.count + 1)
    return 16 * regions.areas / sides[1:] ** 2


def compute_largest_share(mask: Mask) -> float:
    """Share in (0, 1] of a mask's pixels that lie in its largest 8-connected component; NaN for an empty one."""
    areas = find_components(mask)[1][:, 4].astype(np.int64)
    return float(areas.max() / areas.sum()) if len(areas) else float("nan")
