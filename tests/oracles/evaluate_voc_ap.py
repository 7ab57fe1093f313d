"""PASCAL VOC's average precision of one class, one detection after the other, on corners as they are given.

Detections are (image, score, box), already in the wanted order where scores are equal; truth is image -> (box,
difficult).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Corners = Sequence[float]
Detection = tuple[str, float, Corners]
Truth = Mapping[str, Sequence[tuple[Corners, bool]]]


def iou_of(a: Corners, b: Corners, extra: float) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def judge(truth: Truth, detections: Sequence[Detection], limit: float, extra: float, strict: bool) -> list[bool]:
    """Right or wrong, best score first; those on difficult objects are left out."""
    taken: set[tuple[str, int]] = set()
    right = []
    for image, _, box in sorted(detections, key=lambda detection: -detection[1]):
        best, match = -1.0, -1
        for index, (other, _) in enumerate(truth.get(image, ())):
            if iou_of(box, other, extra) > best:
                best, match = iou_of(box, other, extra), index
        if match < 0 or not (best > limit if strict else best >= limit):
            right.append(False)
        elif not truth[image][match][1]:
            right.append((image, match) not in taken)
            taken.add((image, match))
    return right


def count_objects(truth: Truth) -> int:
    return sum(not difficult for boxes in truth.values() for _, difficult in boxes)


def eleven_point(right: Sequence[bool], objects: int, levels: Sequence[float]) -> float:
    points = [(sum(right[: n + 1]) / objects, sum(right[: n + 1]) / (n + 1)) for n in range(len(right))]
    heights = [max((precision for recall, precision in points if recall >= level), default=0.0) for level in levels]
    return sum(heights) / len(levels)


def area(right: Sequence[bool], objects: int) -> float:
    """The devkit's: sentinels at both ends, precision made falling from the right, sum over the steps of recall."""
    recall, precision = [0.0], [0.0]
    for n in range(len(right)):
        recall.append(sum(right[: n + 1]) / objects)
        precision.append(sum(right[: n + 1]) / (n + 1))
    recall.append(1.0)
    precision.append(0.0)
    for n in range(len(precision) - 2, -1, -1):
        precision[n] = max(precision[n], precision[n + 1])
    return sum((recall[n + 1] - recall[n]) * precision[n + 1] for n in range(len(recall) - 1))
