"""Scores of resampled images, intervals and tests in the plainest way: images are copied, everything is redone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

Image = dict[int, Any]  # class id -> what is known of the class in the image


def repeat(images: Sequence[Image], times: Sequence[int]) -> list[Image]:
    return [image for image, count in zip(images, times, strict=True) for _ in range(int(count))]


def mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def class_ious(images: Sequence[Image], num_classes: int, absent: str) -> list[float]:
    """An image's class is (true, predicted, hit) pixels."""
    ious = []
    for class_id in range(num_classes + 1):
        rows = [image[class_id] for image in images if class_id in image]
        true, predicted, hit = (sum(int(row[place]) for row in rows) for place in range(3))
        union = true + predicted - hit
        iou = hit / union if union else math.nan
        if absent == "zero" and union == 0:
            iou = 0.0
        if absent == "ground_truth" and true == 0:
            iou = math.nan
        ious.append(iou)
    return ious


def at_threshold(images: Sequence[Image], column: int) -> list[Image]:
    """An image's class is (true, predicted at each threshold, hit at each threshold)."""
    return [{c: (row[0], row[1][column], row[2][column]) for c, row in image.items()} for image in images]


def best_column(values: Sequence[float]) -> int:
    best = 0
    for column, value in enumerate(values):
        if (-1 if math.isnan(value) else value) > (-1 if math.isnan(values[best]) else values[best]):
            best = column
    return best


def sweep_curve(images: Sequence[Image], num_classes: int, absent: str, columns: int) -> list[float]:
    return [mean(class_ious(at_threshold(images, column), num_classes, absent)) for column in range(columns)]


def box_share(images: Sequence[Image], limit: float, column: int, class_id: int | None = None) -> float:
    """An image's class is its best IoU at each threshold."""
    curves = [curve for image in images for c, curve in image.items() if class_id in (None, c)]
    return sum(float(curve[column]) >= limit for curve in curves) / len(curves) if curves else math.nan


def pixel_ap(images: Sequence[Image], class_id: int | None = None) -> float:
    """An image's class is (pixels off, pixels on the object) in each bin."""
    pairs = [pair for image in images for c, pair in image.items() if class_id in (None, c)]
    bins = len(pairs[0][0]) if pairs else 0
    total = [[sum(int(pair[side][b]) for pair in pairs) for b in range(bins)] for side in (0, 1)]
    if not sum(total[1], 0) if bins else True:
        return math.nan
    area = last_recall = 0.0
    for start in reversed(range(bins)):
        true, false = sum(total[1][start:]), sum(total[0][start:])
        recall = true / sum(total[1])
        if true + false and start < bins - 1:
            area += true / (true + false) * (recall - last_recall)
        last_recall = recall
    return area


def pixel_iou(images: Sequence[Image], column: int, class_id: int | None = None) -> float:
    pairs = [pair for image in images for c, pair in image.items() if class_id in (None, c)]
    true = sum(int(sum(pair[1][column:])) for pair in pairs)
    false = sum(int(sum(pair[0][column:])) for pair in pairs)
    positives = sum(int(sum(pair[1])) for pair in pairs)
    return true / (positives + false) if positives + false else math.nan


def judge_boxes(predicted: Sequence[Any], truth: Sequence[Any]) -> list[tuple[int, float, bool]]:
    """(class id, score, hit) of the detections of one image, by score, those on difficult objects left out."""
    taken: set[int] = set()
    judged = []
    for box in sorted(predicted, key=lambda box: -box.score):
        nearest, best = -1, 0.0
        for place, true in enumerate(truth):
            if true.class_id == box.class_id and overlap(box.xyxy, true.xyxy) > best:
                nearest, best = place, overlap(box.xyxy, true.xyxy)
        if best > 0.5 and truth[nearest].difficult:
            continue
        hit = best > 0.5 and nearest not in taken
        taken |= {nearest} if hit else set()
        judged.append((box.class_id, box.score, hit))
    return judged


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def percentile(values: Sequence[float], share: float) -> float:
    """Linear between the ordered values, the first at 0 and the last at 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def bca(value: float, replicates: Sequence[float], jackknife: Sequence[float], level: float) -> tuple[float, float]:
    normal = NormalDist()
    below = sum(one < value for one in replicates) + 0.5 * sum(one == value for one in replicates)
    z0 = normal.inv_cdf(below / len(replicates))
    centre = sum(jackknife) / len(jackknife)
    cubes, squares = (sum((centre - one) ** power for one in jackknife) for power in (3, 2))
    acceleration = cubes / (6 * squares**1.5)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = z0 + normal.inv_cdf(tail)
        ends.append(percentile(replicates, normal.cdf(z0 + z / (1 - acceleration * z))))
    return ends[0], ends[1]


def swap_p_value(first: Sequence[Image], second: Sequence[Image], score: Callable[[Sequence[Image]], float]) -> float:
    """Exact: all 2^n ways to exchange images."""
    observed = abs(score(second) - score(first))
    count = 0
    for swaps in itertools.product((False, True), repeat=len(first)):
        one = [b if swap else a for a, b, swap in zip(first, second, swaps, strict=True)]
        other = [a if swap else b for a, b, swap in zip(first, second, swaps, strict=True)]
        count += abs(score(other) - score(one)) >= observed - 1e-12
    return count / 2 ** len(first)


def holm(p_values: Sequence[float]) -> list[float]:
    """By stepping down: reject while p <= level / (tests left); the corrected p is the least level that rejects."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [0.0] * len(p_values)
    for rank, place in enumerate(order):
        needed = [min(1.0, p_values[order[k]] * (len(order) - k)) for k in range(rank + 1)]
        corrected[place] = max(needed)
    return corrected
