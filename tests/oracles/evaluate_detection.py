"""COCO's average precision of one class at one IoU, from the words of its definition (no crowds, all sizes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

XYWH = Sequence[float]


def iou_of(a: XYWH, b: XYWH) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def average_precision(
    truth: Mapping[int, list[XYWH]], results: Sequence[tuple[int, float, XYWH]], iou: float
) -> float | None:
    """`truth`: boxes per image; `results`: (image, score, box). None when there is nothing to find."""
    total = sum(len(boxes) for boxes in truth.values())
    if total == 0:
        return None
    taken: set[tuple[int, int]] = set()
    right = []
    for image, _, box in sorted(results, key=lambda result: -result[1]):
        best, match = iou, None
        for index, other in enumerate(truth.get(image, [])):
            if (image, index) not in taken and iou_of(box, other) >= best:
                best, match = iou_of(box, other), index
        right.append(match is not None)
        if match is not None:
            taken.add((image, match))
    points = [(sum(right[: n + 1]) / total, sum(right[: n + 1]) / (n + 1)) for n in range(len(right))]
    heights = [
        max((precision for recall, precision in points if recall >= level / 100 - 1e-12), default=0.0)
        for level in range(101)
    ]
    return sum(heights) / 101
