"""Which true box each detection is taken for, by the rules of the PASCAL VOC devkit; many images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Box

MISS, HIT, DROPPED = 0, 1, -1
Table = NDArray[np.float64]  # a row per box: x1, y1, x2, y2, score, class id, difficult
_SCORE, _CLASS, _DIFFICULT = 4, 5, 6
_CHUNK = 1000  # images: bounds the number of pairs that are compared at once


@dataclass(frozen=True)
class ImageBoxes:
    """The boxes of one image, as tables: half-open corners in pixels, score, class id, difficult (0 or 1)."""

    predicted: Table
    truth: Table


@dataclass(frozen=True)
class Matches:
    """Detections of all images, ordered by image, class id and falling score, equal scores as they were given.

    `class_ids` int64 (N,), `scores` float64 (N,), `images` int64 (N,): number of the image; `outcomes` int8 (T, N) at
    each of T IoU thresholds: HIT, MISS or DROPPED (on a difficult object). `true_ids` and `true_images` int64 (M,):
    class and image of each true box that counts.
    """

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    images: NDArray[np.int64]
    outcomes: NDArray[np.int8]
    true_ids: NDArray[np.int64]
    true_images: NDArray[np.int64]


def to_image_boxes(predicted: Sequence[Box], truth: Sequence[Box], name: str) -> ImageBoxes:
    """Tables of checked boxes.

    DataError naming the image unless corners and scores are finite and x1 <= x2, y1 <= y2.
    """
    return ImageBoxes(_to_table(predicted, f"{name}: predicted"), _to_table(truth, f"{name}: true"))


def _to_table(boxes: Sequence[Box], name: str) -> Table:
    rows = [(*box.xyxy, box.score, box.class_id, box.difficult) for box in boxes]
    table = np.array(rows, np.float64).reshape(-1, 7)
    good = np.isfinite(table).all(axis=1) & (table[:, 2:4] >= table[:, :2]).all(axis=1)
    if not good.all():
        box = boxes[int(np.flatnonzero(~good)[0])]
        raise DataError(
            f"{name} boxes: expected finite x1 <= x2, y1 <= y2 and score, but got {box.xyxy} with score {box.score}."
        )
    return table


def match_images(
    images: Sequence[ImageBoxes], iou_thresholds: Sequence[float], inclusive: bool = False, strict: bool = True
) -> Matches:
    """Judges all detections at all thresholds.

    A detection is held against one true box only: that of its class with the greatest IoU (the first on equal ones).
    Where this IoU is above the threshold (`strict`; otherwise at least the threshold), it is dropped if the object is
    difficult, a hit if it is the first on this object by score, and a miss otherwise: there is no second choice.
    """
    starts = range(0, max(len(images), 1), _CHUNK)
    parts = [_match(images[start : start + _CHUNK], start, iou_thresholds, inclusive, strict) for start in starts]
    return Matches(
        np.concatenate([part.class_ids for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.outcomes for part in parts], axis=1),
        np.concatenate([part.true_ids for part in parts]),
        np.concatenate([part.true_images for part in parts]),
    )


def _match(
    images: Sequence[ImageBoxes], start: int, iou_thresholds: Sequence[float], inclusive: bool, strict: bool
) -> Matches:
    found, found_in = _stack([each.predicted for each in images], start)
    truth, true_in = _stack([each.truth for each in images], start)
    nearest, overlap = _find_nearest(found, found_in, truth, true_in, inclusive)
    difficult = truth[:, _DIFFICULT] == 1
    outcomes = np.full((len(iou_thresholds), len(found)), MISS, np.int8)
    for row, limit in enumerate(iou_thresholds):
        near = np.flatnonzero(overlap > limit if strict else overlap >= limit)
        _judge(outcomes[row], near, nearest, difficult)
    class_ids, true_ids = found[:, _CLASS].astype(np.int64), truth[~difficult, _CLASS].astype(np.int64)
    return Matches(class_ids, found[:, _SCORE], found_in, outcomes, true_ids, true_in[~difficult])


def _stack(tables: Sequence[Table], start: int) -> tuple[Table, NDArray[np.int64]]:
    """All rows by image, class and falling score, and the number of the image of each; true boxes all score 1."""
    table = np.concatenate(tables) if tables else np.zeros((0, 7))
    images = np.repeat(np.arange(start, start + len(tables)), [len(each) for each in tables])
    order = np.lexsort((-table[:, _SCORE], table[:, _CLASS], images))
    return table[order], images[order]


def _find_nearest(
    found: Table, found_in: NDArray[np.int64], truth: Table, true_in: NDArray[np.int64], inclusive: bool
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Per detection the true box of its image and class with the greatest IoU, and that IoU; -1 where there is none."""
    nearest, overlap = np.zeros(len(found), np.intp), np.full(len(found), -1.0)
    lows, highs = _find_ranges(found, found_in, truth, true_in)
    sizes = highs - lows
    begins = np.cumsum(sizes) - sizes
    rows = np.repeat(np.arange(len(found)), sizes)
    columns = np.arange(len(rows)) + np.repeat(lows - begins, sizes)
    overlaps = compute_pair_iou(found[rows, :4], truth[columns, :4], inclusive)
    order = np.lexsort((columns, -overlaps, rows))
    picked = order[begins[sizes > 0]]
    nearest[sizes > 0], overlap[sizes > 0] = columns[picked], overlaps[picked]
    return nearest, overlap


def _find_ranges(
    found: Table, found_in: NDArray[np.int64], truth: Table, true_in: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of `truth` with the image and class of each detection: from, up to."""
    class_ids = np.unique(np.concatenate((found[:, _CLASS], truth[:, _CLASS])))
    keys = found_in * len(class_ids) + np.searchsorted(class_ids, found[:, _CLASS])
    true_keys = true_in * len(class_ids) + np.searchsorted(class_ids, truth[:, _CLASS])
    return np.searchsorted(true_keys, keys, side="left"), np.searchsorted(true_keys, keys, side="right")


def compute_pair_iou(first: Table, second: Table, inclusive: bool = False) -> NDArray[np.float64]:
    """IoU of each box of `first` (P, 4) with the box in the same row of `second`, as `compute_box_iou` has it."""
    extra = 1.0 if inclusive else 0.0
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2]) + extra
    overlap = np.prod(np.maximum(sides, 0.0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2] + extra, axis=1) for boxes in (first, second)]
    union = areas[0] + areas[1] - overlap
    result = np.zeros_like(overlap)
    np.divide(overlap, union, out=result, where=union > 0)
    return result


def _judge(
    outcomes: NDArray[np.int8], near: NDArray[np.intp], nearest: NDArray[np.intp], difficult: NDArray[np.bool_]
) -> None:
    """Marks the detections `near` enough to their true box, in place."""
    dropped = difficult[nearest[near]]
    outcomes[near[dropped]] = DROPPED
    candidates = near[~dropped]
    _, first = np.unique(nearest[candidates], return_index=True)  # the first of each object, in the order of score
    outcomes[candidates[first]] = HIT
