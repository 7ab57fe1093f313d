"""Where is the evidence? Shares of a score map's energy on the object, around it, on other objects, on the border.

Energy is the sum of a map's positive values (Wang et al., Score-CAM, CVPR 2020 workshops, section 4.3: the energy-based
pointing game), here split over five regions that cover every scored pixel once. A large object takes a large share of
any map, so each share stands beside the share that a uniform map would give: the region's share of the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsl.checks import check_same_size
from wsl.errors import DataError
from wsl.types import IGNORE, Mask

REGIONS = ("object", "surroundings", "other_objects", "border", "rest")
OBJECT, SURROUNDINGS, OTHERS, BORDER, REST = range(len(REGIONS))
SURROUNDINGS_WIDTH = 0.10  # of the diagonal of the nearest object's bounding box
BORDER_WIDTH = 0.05  # of the image's shorter side

ON_BACKGROUND, MIXED, ON_OBJECT = "evidence mostly on the background", "mixed", "on the object"
UNDECIDED = "not decided"
LEAST_CONTRAST = 1.25  # below this the map is about as strong off the object as on it
CLEAR_CONTRAST = 2.0  # from here on it clearly prefers the object
MOST = 0.5  # of the energy

Regions = NDArray[np.uint8]  # (H, W), index into REGIONS, or 255 = not scored
PROTOCOL = (
    "energy = sum of positive scores; surroundings: within 10 % of the diagonal of the nearest object's box; border: "
    "outer 5 % of the shorter side; object before other objects before surroundings before border; lift = share of "
    "energy / share of pixels; contrast = mean score on the object / mean score off it; means over images"
)

RULE = (
    f"'{ON_BACKGROUND}': contrast below {LEAST_CONTRAST}; '{ON_OBJECT}': contrast at least {CLEAR_CONTRAST}, and at "
    f"least {MOST} of the energy on the object and its surroundings; '{MIXED}': anything else, such as a coarse map of "
    f"a small object; '{UNDECIDED}': the objects have no pixel or all of them"
)


@dataclass(frozen=True)
class EnergyShares:
    """One map, or the mean over several: energy and pixels of each region of `REGIONS`, fractions that add up to 1."""

    energy: tuple[float, ...]
    area: tuple[float, ...]

    @property
    def lift(self) -> tuple[float | None, ...]:
        """Energy over area of each region: 1 = as a uniform map, above 1 = preferred. None where there is no pixel."""
        return tuple(e / a if a > 0 else None for e, a in zip(self.energy, self.area, strict=True))

    @property
    def contrast(self) -> float | None:
        """Mean score on the object over mean score off it: 1 = as a uniform map, whatever the object's size.

        None when the object has all the energy, all the pixels, or no pixel.
        """
        energy, area = self.energy[OBJECT], self.area[OBJECT]
        if not 0 < area < 1 or energy >= 1:
            return None
        return (energy / area) / ((1 - energy) / (1 - area))


def split_regions(target: Mask, others: Mask | None = None, ignore: Mask | None = None) -> Regions:
    """uint8 (H, W): for each pixel the index of its region in `REGIONS`, 255 where `ignore`.

    target: bool (H, W), the objects of the class. others: objects of other classes. A pixel off every object belongs to
    the surroundings when its distance to the nearest connected (8 neighbours) object is at most 10 % of the diagonal of
    that object's bounding box, and at least one pixel; else to the border when it lies within 5 % of the shorter side
    (at least one pixel) from an edge of the image; else to the rest. DataError for masks of different sizes.
    """
    if target.ndim != 2 or target.dtype != np.bool_:
        raise DataError(f"target: expected bool (H, W), but got {target.dtype} {target.shape}.")
    regions = np.full(target.shape, REST, np.uint8)
    regions[_find_border(target.shape)] = BORDER
    regions[_find_surroundings(target)] = SURROUNDINGS
    for mask, value, name in ((others, OTHERS, "others"), (target, OBJECT, "target"), (ignore, IGNORE, "ignore")):
        if mask is not None:
            check_same_size(target, mask, "target", name)
            regions[mask] = value
    return regions


def _find_border(size: tuple[int, ...]) -> Mask:
    width = max(1, round(BORDER_WIDTH * min(size)))
    border = np.ones(size, np.bool_)
    border[width:-width, width:-width] = False
    return border


def _find_surroundings(target: Mask) -> Mask:
    """Pixels near an object, measured from pixel centre to pixel centre."""
    if not target.any():
        return np.zeros_like(target)
    labels, _ = ndimage.label(target, np.ones((3, 3), np.int8))
    sides = [(part.stop - part.start for part in parts) for parts in ndimage.find_objects(labels)]
    reach = np.array([0.0, *(max(1.0, SURROUNDINGS_WIDTH * math.hypot(*pair)) for pair in sides)])
    distance, nearest = ndimage.distance_transform_edt(~target, return_indices=True)
    near: Mask = distance <= reach[labels[nearest[0], nearest[1]]]
    return near


def compute_energy_shares(score_map: NDArray[np.floating], regions: Regions) -> EnergyShares | None:
    """Shares of one map (H, W), summed in float64; None when no scored pixel is positive.

    Values below 0 count as 0. DataError for sizes that differ or scores that are not finite.
    """
    check_same_size(score_map, regions, "score map", "regions")
    if not np.isfinite(score_map).all():
        raise DataError(f"score map: expected finite scores, but {int((~np.isfinite(score_map)).sum())} are not.")
    energy = np.bincount(regions.ravel(), np.maximum(score_map, 0).ravel().astype(np.float64), minlength=256)[
        : REST + 1
    ]
    pixels = np.bincount(regions.ravel(), minlength=256)[: REST + 1]
    if energy.sum() <= 0:
        return None
    return EnergyShares(tuple((energy / energy.sum()).tolist()), tuple((pixels / pixels.sum()).tolist()))


def mean_shares(shares: Sequence[EnergyShares]) -> EnergyShares | None:
    """The mean over images, every image with the same weight; None when there is none."""
    if not shares:
        return None
    energy = np.mean([each.energy for each in shares], axis=0)
    area = np.mean([each.area for each in shares], axis=0)
    return EnergyShares(tuple(energy.tolist()), tuple(area.tolist()))


def judge_energy(shares: EnergyShares) -> str:
    """The verdict of `RULE`: ON_BACKGROUND, MIXED, ON_OBJECT or UNDECIDED."""
    if not 0 < shares.area[OBJECT] < 1:
        return UNDECIDED
    contrast = math.inf if shares.contrast is None else shares.contrast
    if contrast < LEAST_CONTRAST:
        return ON_BACKGROUND
    near = shares.energy[OBJECT] + shares.energy[SURROUNDINGS]
    return ON_OBJECT if contrast >= CLEAR_CONTRAST and near >= MOST else MIXED
