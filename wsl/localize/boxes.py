"""Boxes from score maps: threshold, connected components, one box for each component that is kept."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.localize.components import find_components
from wsl.localize.threshold import check_score_map, check_threshold, compute_threshold, threshold_mask
from wsl.types import Box, ScoreMaps

SELECTIONS = ("all", "largest")


@dataclass(frozen=True)
class _Candidate:
    """One component: its box, pixel count and score."""

    box: Box
    area: int

    @property
    def rank(self) -> tuple[float, ...]:
        """Sort key: highest score, then largest, then top-most and left-most, so that equal scores keep one order."""
        x1, y1, x2, y2 = self.box.xyxy
        return (-self.box.score, -self.area, y1, x1, y2, x2)

    @property
    def size_rank(self) -> tuple[float, ...]:
        """Sort key: largest area first, then as `rank`."""
        return (-self.area, *self.rank)


def _check_options(rule: str, threshold: float, select: str, min_area: float) -> None:
    check_threshold(rule, threshold)
    if select not in SELECTIONS:
        raise ConfigError(f"select: unknown value '{select}'.{suggest(select, SELECTIONS)}")
    if not (np.isfinite(min_area) and min_area >= 0):
        raise ConfigError(
            f"min_area: expected pixels (1 or more) or a fraction of the image (below 1), but got {min_area}."
        )


def _find_candidates(
    score_map: NDArray[np.floating], threshold: float, connectivity: int, class_id: int, class_score: float
) -> list[_Candidate]:
    labels, stats = find_components(threshold_mask(score_map, threshold), connectivity)
    sums = np.bincount(labels.ravel(), weights=score_map.ravel().astype(np.float64), minlength=len(stats) + 1)[1:]
    candidates = []
    for (x, y, width, height, area), total in zip(stats.tolist(), sums.tolist(), strict=True):
        corners = (float(x), float(y), float(x + width), float(y + height))
        candidates.append(_Candidate(Box(corners, class_id, total / area * class_score), area))
    return candidates


def find_boxes(
    score_map: NDArray[np.floating],
    *,
    class_id: int,
    rule: str = "relative",
    threshold: float = 0.2,
    select: str = "largest",
    min_area: float = 0.0,
    min_score: float = 0.0,
    connectivity: int = 8,
    class_score: float = 1.0,
) -> list[Box]:
    """Boxes of one class in one map, highest score first.

    score_map: floating (H, W) in [0, 1], finite, at the size of the image (a box has the map's pixels).
    rule, threshold: as `compute_threshold`. select: `largest` keeps the component with most pixels (one box for
    a class, the habit of the localisation protocols), `all` keeps every one. min_area: components with
    fewer pixels are dropped; below 1 it is a fraction of H * W. min_score: boxes with a lower score are dropped.
    class_score: what the classifier says of the class, in [0, 1].
    Returns half-open xyxy boxes in pixels with score = (mean of the map inside the component) * class_score.
    Equal scores are ordered by area (largest first), then y1, x1. A map without a positive value gives [].
    Raises ConfigError for an option, DataError for the map.
    """
    _check_options(rule, threshold, select, min_area)
    check_score_map(score_map)
    if score_map.max() <= 0:
        return []
    least = min_area if min_area >= 1 else min_area * score_map.size
    cut = compute_threshold(score_map, rule, threshold)
    found = _find_candidates(score_map, cut, connectivity, class_id, class_score)
    kept = [one for one in found if one.area >= least and one.box.score >= min_score]
    if select == "largest":
        kept = sorted(kept, key=lambda one: one.size_rank)[:1]
    return [one.box for one in sorted(kept, key=lambda one: one.rank)]


def boxes_of(
    score_maps: ScoreMaps,
    *,
    rule: str = "relative",
    threshold: float = 0.2,
    select: str = "largest",
    min_area: float = 0.0,
    min_score: float = 0.0,
    connectivity: int = 8,
) -> list[Box]:
    """Boxes of all classes of one image, highest score first; options as `find_boxes`.

    Maps smaller than the image are first enlarged to `score_maps.size` (bilinear, half-pixel centres). Where
    `class_scores` is missing or NaN the class score is taken as 1. Equal scores keep the order of `class_ids`.
    """
    height, width = score_maps.size
    known = score_maps.class_scores
    boxes: list[Box] = []
    for index, class_id in enumerate(score_maps.class_ids):
        score_map = score_maps.scores[index]
        check_score_map(score_map, f"{score_maps.image_id}, class {class_id}")
        if score_map.shape != (height, width):
            score_map = cv2.resize(score_map, (width, height), interpolation=cv2.INTER_LINEAR)
        unknown = len(known) != len(score_maps.class_ids) or np.isnan(known[index])
        boxes += find_boxes(
            score_map,
            class_id=class_id,
            rule=rule,
            threshold=threshold,
            select=select,
            min_area=min_area,
            min_score=min_score,
            connectivity=connectivity,
            class_score=1.0 if unknown else float(known[index]),
        )
    return sorted(boxes, key=lambda box: -box.score)
