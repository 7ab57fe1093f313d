"""Randomisation check: does the map depend on what the network has learned?

Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: maps of the trained network are compared with
those of the same network with random parameters, by Spearman's rank correlation and by SSIM. A map that stays the same
shows the image, not the classifier.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

from wsl.checks import check_same_size
from wsl.errors import DataError
from wsl.evaluate.faithfulness.maps import check_map

WINDOW = 7


def compare_maps(before: NDArray[np.floating], after: NDArray[np.floating]) -> dict[str, float | None]:
    """{"rank correlation": Spearman's, "SSIM": structural similarity}, both in [-1, 1], of two maps (H, W) in [0, 1].

    The rank correlation is None when one map is constant, which has no ranks. SSIM has a window of 7 x 7 pixels,
    smaller in smaller maps, and a data range of 1; DataError for maps with a side below 3 pixels.
    """
    check_map(before, "first map")
    check_map(after, "second map")
    check_same_size(before, after, "first map", "second map")
    if min(before.shape) < 3:
        raise DataError(f"maps: expected sides of at least 3 pixels, but got {before.shape}.")
    side = min(WINDOW, min(before.shape))
    similarity = structural_similarity(  # type: ignore[no-untyped-call]
        before.astype(np.float64), after.astype(np.float64), win_size=side - 1 + side % 2, data_range=1.0
    )
    return {"rank correlation": compute_rank_correlation(before, after), "SSIM": float(similarity)}


def compute_rank_correlation(before: NDArray[np.floating], after: NDArray[np.floating]) -> float | None:
    """Spearman's rank correlation of all pixels, ties with their mean rank; None when one map is constant."""
    first, second = (rankdata(each.ravel()) for each in (before, after))
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / length if length > 0 else None
