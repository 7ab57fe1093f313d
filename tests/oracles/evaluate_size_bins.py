"""Regions by flood fill, and what a prediction finds of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]


def regions_by_flood(mask: NDArray[np.bool_], connectivity: int) -> list[set[Place]]:
    """Connected parts as sets of (row, column)."""
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if connectivity == 8 or abs(dy) + abs(dx) == 1]
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    while left:
        found, waiting = set(), [left.pop()]
        while waiting:
            y, x = waiting.pop()
            found.add((y, x))
            for dy, dx in steps:
                if (y + dy, x + dx) in left:
                    left.remove((y + dy, x + dx))
                    waiting.append((y + dy, x + dx))
        regions.append(found)
    return regions


def rows_by_region(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], num_classes: int, connectivity: int, predicted_ignore: str
) -> list[tuple[int, float, int, int, float]]:
    """(class, share of the image, scored pixels, hit pixels, IoU) of each true region."""
    if predicted_ignore == "background":
        predicted = np.where(predicted == 255, 0, predicted)
    scored = {(int(y), int(x)) for y, x in np.argwhere((truth != 255) & (predicted != 255))}
    rows = []
    for class_id in range(1, num_classes + 1):
        regions = regions_by_flood(truth == class_id, connectivity)
        parts = regions_by_flood(predicted == class_id, connectivity)
        for region in regions:
            others = set().union(*[other for other in regions if other is not region])
            touching = [part for part in parts if part & region & scored]
            belonging = (set().union(*touching) - others) & scored
            wanted = region & scored
            if wanted:
                iou = len(wanted & belonging) / len(wanted | belonging)
                rows.append((class_id, len(region) / truth.size, len(wanted), len(wanted & belonging), iou))
    return rows
