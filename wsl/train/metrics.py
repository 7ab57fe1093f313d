"""How well a classifier names the images. Plain arrays in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def compute_accuracy(scores: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Part of the images whose highest score (B, O) is at the target (B,) in 0..O-1; the first of equals counts."""
    return float((scores.argmax(1) == targets).mean()) if len(targets) else float("nan")


def compute_class_accuracy(scores: NDArray[np.floating], targets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Accuracy (O,) over the images of each class; NaN for a class without images."""
    right = scores.argmax(1) == targets
    outputs = scores.shape[1]
    counts = np.bincount(targets, minlength=outputs)
    hits = np.bincount(targets[right], minlength=outputs)
    return np.divide(hits, counts, out=np.full(outputs, np.nan), where=counts > 0)


def compute_average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the precision-recall steps of one class: sum of (R_n - R_n-1) P_n over the distinct scores (B,).

    positive: bool (B,). NaN when there is no positive image. No interpolation; equal scores are one step.
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(positive[order])
    last_of_equals = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precision = found[last_of_equals] / (last_of_equals + 1)
    recall = found[last_of_equals] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def compute_mean_average_precision(
    scores: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float64]]:
    """(mean over the classes that occur, per class (O,)) of the average precision; scores and positive are (B, O).

    NaN for classes without a positive image, and for the mean when no class has one.
    """
    each = np.array([compute_average_precision(scores[:, c], positive[:, c]) for c in range(scores.shape[1])])
    known = each[~np.isnan(each)]
    return (float(known.mean()) if len(known) else float("nan")), each
