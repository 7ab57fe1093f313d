"""PxAP as the protocol describes it: two histograms over the whole set, precision and recall from reversed sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Image = tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_] | None]  # map, mask, ignore, all of one size


def stretch(score_map: NDArray) -> NDArray[np.float64]:
    """Min-max in float64; a constant map becomes 0."""
    values = score_map.astype(np.float64)
    if values.min() == values.max():
        return np.zeros_like(values)
    values -= values.min()
    values /= values.max()
    return values


def histograms(images: Sequence[Image], interval: float) -> NDArray[np.int64]:
    """int64 (2, B), off and on the object, with np.histogram on the edges of the protocol."""
    edges = np.append(np.arange(0, 1, interval), [1.0, 2.0, 3.0])
    result = np.zeros((2, len(edges) - 1), np.int64)
    for score_map, mask, ignore in images:
        target = mask.astype(np.uint8)
        if ignore is not None:
            target = target + 255 * np.logical_and(ignore, np.logical_not(mask)).astype(np.uint8)
        for value in (0, 1):
            result[value] += np.histogram(score_map[target == value], bins=edges)[0]
    return result


def counts_at(images: Sequence[Image], threshold: float) -> tuple[int, int, int]:
    """(TP, FP, FN) pixel by pixel at one threshold."""
    found = wrong = lost = 0
    for score_map, mask, ignore in images:
        for index in np.ndindex(mask.shape):
            if ignore is not None and ignore[index] and not mask[index]:
                continue
            predicted = float(score_map[index]) >= threshold
            found += bool(mask[index]) and predicted
            wrong += not mask[index] and predicted
            lost += bool(mask[index]) and not predicted
    return found, wrong, lost


def pixel_ap(images: Sequence[Image], interval: float) -> float:
    """Sum of Prec[i] * (Rec[i] - Rec[i-1]), thresholds from the highest, where anything is predicted."""
    off, on = histograms(images, interval)
    area, recall_before = 0.0, 0.0
    for index in range(len(on)):
        true = int(on[::-1][: index + 1].sum())
        false = int(off[::-1][: index + 1].sum())
        recall = true / int(on.sum())
        if index >= 1 and true + false > 0:
            area += true / (true + false) * (recall - recall_before)
        recall_before = recall
    return area


def best_iou(images: Sequence[Image], interval: float) -> tuple[float, float]:
    """(largest pooled IoU over the thresholds, the lowest threshold that reaches it)."""
    best, where = -1.0, 0.0
    for threshold in [*np.arange(0, 1, interval), 1.0]:
        true, false, lost = counts_at(images, float(threshold))
        if true / (true + false + lost) > best:
            best, where = true / (true + false + lost), float(threshold)
    return best, where
