"""Which true box each detection of an image is taken for, by the rules of the PASCAL VOC devkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.types import Box

MISS, HIT, DROPPED = 0, 1, -1


@dataclass(frozen=True)
class ImageMatches:
    """Detections of one image, ordered by class id, then by falling score, equal scores as they were given.

    `class_ids` int64 (N,), `scores` float64 (N,), `outcomes` int8 (T, N) at each of T IoU thresholds: HIT, MISS or
    DROPPED (on a difficult object). `true_ids` int64 (M,): the classes with true boxes that count, ascending;
    `positives` int64 (M,): their number.
    """

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.int8]
    true_ids: NDArray[np.int64]
    positives: NDArray[np.int64]


def match_boxes(
    predicted: Sequence[Box],
    truth: Sequence[Box],
    iou_thresholds: NDArray[np.float64],
    inclusive: bool = False,
    strict: bool = True,
    name: str = "image",
) -> ImageMatches:
    """Judges all detections of one image.

    A detection is held against one true box only: that of its class with the greatest IoU (the first on equal ones).
    Where this IoU is above the threshold (`strict`; otherwise at least the threshold), it is dropped if the object is
    difficult, a hit if it is the first on this object by score, and a miss otherwise: there is no second choice.

    Raises:
        DataError: corners or scores that are not finite, boxes with x2 < x1 or y2 < y1; names the image.
    """
    check_boxes(predicted, f"{name}: predicted")
    check_boxes(truth, f"{name}: true")
    class_ids = np.array([box.class_id for box in predicted], np.int64)
    scores = np.array([box.score for box in predicted], np.float64)
    order = np.lexsort((-scores, class_ids))
    nearest, overlap = _find_nearest([predicted[index] for index in order], truth, inclusive)
    difficult = np.array([box.difficult for box in truth], np.bool_)
    outcomes = np.full((len(iou_thresholds), len(predicted)), MISS, np.int8)
    for row, limit in enumerate(iou_thresholds):
        near = np.flatnonzero(overlap > limit if strict else overlap >= limit)
        _judge(outcomes[row], near, nearest, difficult)
    counted = np.array([box.class_id for box in truth if not box.difficult], np.int64)
    true_ids, positives = np.unique(counted, return_counts=True)
    return ImageMatches(class_ids[order], scores[order], outcomes, true_ids, positives.astype(np.int64))


def check_boxes(boxes: Sequence[Box], name: str) -> None:
    """Raises DataError unless all corners and scores are finite and no side is negative."""
    corners = to_array(boxes)
    scores = np.array([box.score for box in boxes], np.float64)
    good = np.isfinite(corners).all(axis=1) & np.isfinite(scores)
    good &= (corners[:, 2:] >= corners[:, :2]).all(axis=1)
    if not good.all():
        box = boxes[int(np.flatnonzero(~good)[0])]
        raise DataError(
            f"{name} boxes: expected finite x1 <= x2, y1 <= y2 and score, but got {box.xyxy} with score {box.score}."
        )


def _find_nearest(
    ordered: Sequence[Box], truth: Sequence[Box], inclusive: bool
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Per detection the true box of its class with the greatest IoU and that IoU; -1 where the class has none."""
    if not truth or not ordered:
        return np.zeros(len(ordered), np.intp), np.full(len(ordered), -1.0)
    overlaps = compute_box_iou(to_array(ordered), to_array(truth), inclusive)
    wanted = np.array([box.class_id for box in truth])
    overlaps[np.array([box.class_id for box in ordered])[:, None] != wanted[None, :]] = -1.0
    nearest = np.argmax(overlaps, axis=1)
    return nearest, overlaps[np.arange(len(ordered)), nearest]


def _judge(
    outcomes: NDArray[np.int8], near: NDArray[np.intp], nearest: NDArray[np.intp], difficult: NDArray[np.bool_]
) -> None:
    """Marks the detections `near` enough to their true box, in place."""
    dropped = difficult[nearest[near]]
    outcomes[near[dropped]] = DROPPED
    candidates = near[~dropped]
    _, first = np.unique(nearest[candidates], return_index=True)  # the first of each object, in the order of score
    outcomes[candidates[first]] = HIT
