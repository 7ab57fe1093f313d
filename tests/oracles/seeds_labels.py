"""Slow, literal references for label maps and seeds: one pixel at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def background_of(scores: list[np.float32], rule: str, value: float) -> np.float32:
    """Background score of one pixel."""
    if not scores:
        return np.float32(1)
    if rule == "constant":
        return np.float32(value)
    return np.power(np.float32(1) - max(scores), np.float32(value))


def label_of(scores: list[np.float32], class_ids: list[int], rule: str, value: float) -> int:
    """First class in [background, *classes] with the highest score."""
    best_id, best = 0, background_of(scores, rule, value)
    for class_id, score in zip(class_ids, scores, strict=True):
        if score > best:
            best_id, best = class_id, score
    return best_id


def seeds_by_pixel(
    scores: NDArray[np.float32], class_ids: list[int], rule: str, foreground: float, background: float
) -> NDArray[np.uint8]:
    """The two-threshold rule pixel by pixel."""
    seeds = np.zeros(scores.shape[1:], np.uint8)
    for y in range(scores.shape[1]):
        for x in range(scores.shape[2]):
            pixel = list(scores[:, y, x])
            strict = label_of(pixel, class_ids, rule, foreground)
            generous = label_of(pixel, class_ids, rule, background)
            seeds[y, x] = 255 if strict == 0 and generous != 0 else strict
    return seeds
