"""Histograms of a score map's pixels on and off the object: all that pixel-level scores at every threshold need.

Bins are those of Choe et al. (CVPR 2020): [0, d), [d, 2d), ..., [.., 1), [1, 2), [2, 3], so that a score of exactly 1
has a bin of its own and the last one stays empty. A pixel is predicted at a threshold when its score is >= it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.errors import ConfigError
from wsl.evaluate.segmentation.confusion import Counts, Sums, Values, divide
from wsl.types import Mask

OFF_OBJECT, ON_OBJECT, IGNORED = 0, 1, 2
SMALLEST_INTERVAL = 0.0001  # 20004 cells, which 16-bit cell numbers hold

PixelLabels = NDArray[np.uint8]  # (H, W), OFF_OBJECT, ON_OBJECT or IGNORED


@dataclass(frozen=True)
class PixelHistograms:
    """One histogram per (image, class) pair, sorted by both: what a bootstrap over images draws from.

    `counts` int32 (P, 2, B): pixels off (0) and on (1) the object in each bin; their sum over pairs is the pooled
    histogram. `edges` float64 (B + 1,); bin i holds scores in [edges[i], edges[i + 1]).
    """

    image_ids: tuple[str, ...]
    class_ids: NDArray[np.int64]
    counts: NDArray[np.int32]
    edges: NDArray[np.float64]


def make_edges(interval: float = 0.001) -> NDArray[np.float64]:
    """Edges of the bins, float64 (B + 1,): np.arange(0, 1, interval), then 1, 2 and 3."""
    if not SMALLEST_INTERVAL <= interval <= 0.5:
        raise ConfigError(f"interval: expected a step between thresholds in [0.0001, 0.5], but got {interval}.")
    steps = np.arange(0, 1, interval)
    return np.append(steps[steps < 1], [1.0, 2.0, 3.0])


def label_pixels(mask: Mask, ignore: Mask | None) -> PixelLabels:
    """uint8 (H, W) of two masks bool (H, W); a pixel that is in both belongs to the object."""
    labels = mask.astype(np.uint8)
    if ignore is not None:
        labels += IGNORED * np.greater(ignore, mask).view(np.uint8)  # greater: ignored and not on the object
    return labels


def count_scores(
    score_map: NDArray[np.float64], labels: PixelLabels, edges: NDArray[np.float64], low: float = 0.0, high: float = 1.0
) -> Counts:
    """int64 (2, B) of the scores (score_map - low) / high, float64 (H, W) and all in [0, 1]; ignored pixels are left
    out. The counts are those of np.histogram, also for scores exactly on an edge."""
    compiled = load_compiled("wsl.evaluate.localization.pixel_ap_compiled")
    if compiled is not None:
        counts: Counts = compiled.count_scores(score_map, labels, edges, low, high)
        return counts
    return _count_plain((score_map - low) / high, labels, edges)


def _count_plain(values: NDArray[np.float64], labels: PixelLabels, edges: NDArray[np.float64]) -> Counts:
    bins = len(edges) - 1
    index = (values * (1 / edges[1])).astype(np.intp)  # at most one bin off, for edges are rounded and so is this
    np.minimum(index, bins - 2, out=index)
    index -= values < edges[index]
    index += values >= edges[index + 1]
    cells = np.bincount((labels * np.intp(bins) + index).ravel(), minlength=3 * bins)
    return cells[: 2 * bins].reshape(2, bins).astype(np.int64)


def compute_curves(counts: Sums) -> tuple[Values, Values, Values]:
    """(precision, recall, IoU) at the left edge of each bin, float64 (..., B) for histograms (..., 2, B), whole or
    weighted.

    TP / (TP + FP), TP / (TP + FN), TP / (TP + FP + FN). Precision is NaN where nothing is predicted, recall and IoU
    without a pixel on the object.
    """
    # int32 would overflow, and weighted counts stay floating
    exact = np.float64 if counts.dtype.kind == "f" else np.int64
    predicted: Any = np.cumsum(counts[..., ::-1], axis=-1, dtype=exact)[..., ::-1]
    false, true = predicted[..., OFF_OBJECT, :], predicted[..., ON_OBJECT, :]
    positives = true[..., :1]
    union = np.where(positives > 0, positives + false, 0)
    return divide(true, true + false), divide(true, positives), divide(true, union)


def compute_pixel_ap(counts: Sums) -> Values:
    """PxAP of histograms (..., 2, B), float64 (...,) in [0, 1]; NaN without a pixel on the object.

    Sum over thresholds, from the highest, of Prec[i] * (Rec[i] - Rec[i-1]) for i >= 1, leaving out thresholds at which
    nothing is predicted (Choe et al., CVPR 2020, section 4.2); no interpolation.
    """
    precision, recall, _ = compute_curves(counts)
    steps = np.nan_to_num(precision[..., :-1], nan=0.0) * (recall[..., :-1] - recall[..., 1:])
    area: Values = steps.sum(axis=-1)
    return area
