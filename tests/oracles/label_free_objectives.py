"""Agreement and borders of label maps, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from skimage.color import rgb2lab


def slow_label_iou(first: np.ndarray, second: np.ndarray, class_ids: Sequence[int]) -> float:
    """Mean IoU over background and classes that occur."""
    values = []
    for label in (0, *class_ids):
        both = either = 0
        for one, other in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
            both += one == label and other == label
            either += one == label or other == label
        if either:
            values.append(both / either)
    return sum(values) / len(values)


def slow_label_correlation(first: np.ndarray, second: np.ndarray, class_ids: Sequence[int]) -> float:
    """Pearson's correlation of the masks, 0 where one is constant."""
    values = []
    for label in class_ids:
        one, other = (first == label).ravel().astype(float), (second == label).ravel().astype(float)
        constant = len(set(one.tolist())) == 1 or len(set(other.tolist())) == 1
        values.append(0.0 if constant else float(np.corrcoef(one, other)[0, 1]))
    return sum(values) / len(values)


def slow_edge_alignment(image: np.ndarray, labels: np.ndarray) -> float:
    """Mean Lab distance over border pairs by that over all pairs of four-neighbours, minus 1."""
    lab = rgb2lab(image)
    across, every = [], []
    height, width = labels.shape
    for row in range(height):
        for column in range(width):
            for down, right in ((1, 0), (0, 1)):
                if row + down < height and column + right < width:
                    distance = math.dist(lab[row, column], lab[row + down, column + right])
                    every.append(distance)
                    if labels[row, column] != labels[row + down, column + right]:
                        across.append(distance)
    if not across or sum(every) == 0:
        return 0.0
    return (sum(across) / len(across)) / (sum(every) / len(every)) - 1


def slow_colour_contrast(image: np.ndarray, labels: np.ndarray) -> float:
    """Between-region over total variance of the Lab colours."""
    lab = rgb2lab(image).reshape(-1, 3)
    centre, flat = lab.mean(axis=0), labels.ravel()
    total = sum(float(((colour - centre) ** 2).sum()) for colour in lab)
    between = 0.0
    for label in set(flat.tolist()):
        region = lab[flat == label]
        between += len(region) * float(((region.mean(axis=0) - centre) ** 2).sum())
    return between / total if total > 0 else 0.0


def slow_ranking(mask: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a score inside the mask is above one outside, ties half, over all pairs."""
    inside, outside = scores[mask].tolist(), scores[~mask].tolist()
    if not inside or not outside:
        return 0.5
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in inside for b in outside)
    return wins / (len(inside) * len(outside))
