"""Evidence averaged over superpixels: SLIC (Achanta et al. 2012) or Felzenszwalb and Huttenlocher (2004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

ALGORITHMS = ("slic", "felzenszwalb")
FULL_SCALE = np.float32(255)


def average_regions(evidence: Evidence, regions: NDArray[np.intp]) -> Evidence:
    """float32 (L, H, W): each plane's mean over the region of each pixel. regions: (H, W), numbers from 0."""
    flat = regions.ravel()
    sizes = np.maximum(np.bincount(flat), 1)
    means = [np.bincount(flat, plane.ravel().astype(np.float64)) / sizes for plane in evidence]
    return np.stack([mean[regions] for mean in means]).astype(np.float32)


@REFINERS.register("superpixels")
@dataclass(frozen=True)
class Superpixels(Refiner):
    """Mean of [background, scores] over each superpixel, so that labels follow the edges of superpixels.

    algorithm: `slic` (regions of about `region_size` pixels; compactness: weight of nearness against colour) or
    `felzenszwalb` (scale: larger gives larger regions; region_size is the least one). sigma: Gaussian smoothing of the
    image beforehand, in pixels. SLIC looks at RGB in the Lab space, at `bands` as they are.
    """

    algorithm: str = "slic"
    region_size: int = 200
    compactness: float = 10.0
    scale: float = 100.0
    sigma: float = 0.8

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(
                f"refine.algorithm: unknown value '{self.algorithm}'.{suggest(self.algorithm, ALGORITHMS)}"
            )
        if not isinstance(self.region_size, int):
            raise ConfigError(f"refine.region_size: expected a whole number, but got {self.region_size}.")
        check_at_least("refine.region_size", self.region_size, 1)
        for name in ("compactness", "scale"):
            check_at_least(f"refine.{name}", getattr(self, name), 0, strictly=True)
        check_at_least("refine.sigma", self.sigma, 0)

    @property
    def needs(self) -> str:
        return "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        return average_regions(inputs.stack(), self.find_regions(inputs.features))

    def find_regions(self, features: NDArray[Any]) -> NDArray[np.intp]:
        """Region numbers (H, W) from 0 for features (H, W, C) on the scale of 0..255: uint8 RGB, or float32 bands."""
        from skimage.segmentation import felzenszwalb, slic

        if np.ptp(features.reshape(-1, features.shape[2]), axis=0).max() == 0:
            return np.zeros(features.shape[:2], np.intp)  # nothing to see: one region, whatever the grid
        looks = features.astype(np.float32) / FULL_SCALE
        if self.algorithm == "felzenszwalb":
            found = felzenszwalb(looks, self.scale, self.sigma, self.region_size, channel_axis=-1)
        else:
            count = max(1, round(looks.shape[0] * looks.shape[1] / self.region_size))
            is_rgb = features.dtype == np.uint8
            # Lab reaches 100, bands reach 1: the same compactness shall mean the same
            compactness = self.compactness if is_rgb else self.compactness / 100
            options = {"sigma": self.sigma, "convert2lab": is_rgb, "start_label": 0, "channel_axis": -1}
            found = slic(looks, count, compactness, **options)
        return np.asarray(found, np.intp)
