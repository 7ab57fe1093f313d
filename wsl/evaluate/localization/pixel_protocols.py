"""What is done to a map and its masks before their pixels are compared, by the name of the protocol."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Mask

GRID = 224
NORMALISERS = ("min_max", "none")


@dataclass(frozen=True)
class PixelProtocol:
    """`grid`: side in pixels to which masks are brought (nearest neighbour), None = they stay as they are.
    `normaliser`: one of NORMALISERS. `resize_maps`: maps are brought to the grid too (bicubic), or must have it.
    `interval`: step between thresholds."""

    grid: int | None
    normaliser: str
    resize_maps: bool
    interval: float = 0.001

    def fit_map(self, score_map: NDArray[np.floating], size: tuple[int, ...], name: str) -> NDArray[np.float64]:
        """The map, floating (h, w), on the grid, float64; `size` (H, W) of the image. DataError for another size."""
        _check_map(score_map, name)
        grid = self.grid
        allowed = {tuple(size)} if self.resize_maps or grid is None else set()
        allowed |= set() if grid is None else {(grid, grid)}
        if score_map.shape not in allowed:
            shown = " or ".join(str(each) for each in sorted(allowed))
            raise DataError(f"{name}: expected a score map of {shown}, but got {score_map.shape} (height, width).")
        values = np.ascontiguousarray(score_map, np.float64)
        if grid is None or values.shape == (grid, grid):
            return values
        if values.min() == values.max():  # resized, it would be rounding noise, which min-max blows up
            return np.full((grid, grid), values.flat[0])
        return np.asarray(cv2.resize(values, (grid, grid), interpolation=cv2.INTER_CUBIC), np.float64)

    def fit_mask(self, mask: Mask, name: str) -> Mask:
        """The mask, bool (H, W), on the grid."""
        if mask.ndim != 2 or mask.dtype != np.bool_ or mask.size == 0:
            raise DataError(f"{name}: expected a mask as bool (H, W), but got {mask.dtype} {mask.shape}.")
        if self.grid is None or mask.shape == (self.grid, self.grid):
            return mask
        resized = cv2.resize(mask.astype(np.uint8), (self.grid, self.grid), interpolation=cv2.INTER_NEAREST)
        return np.asarray(resized) > 0


PIXEL_PROTOCOLS = {
    "original": PixelProtocol(None, "min_max", resize_maps=False),
    "wsolevaluation": PixelProtocol(GRID, "min_max", resize_maps=True),
    "wsolevaluation_files": PixelProtocol(GRID, "none", resize_maps=False, interval=0.01),
}


def _check_map(score_map: NDArray[np.floating], name: str) -> None:
    if score_map.ndim != 2 or not np.issubdtype(score_map.dtype, np.floating) or score_map.size == 0:
        raise DataError(f"{name}: expected floating (H, W), but got {score_map.dtype} {score_map.shape}.")
    if not np.isfinite(score_map).all():
        raise DataError(f"{name}: expected finite scores, but {int((~np.isfinite(score_map)).sum())} are NaN or inf.")
