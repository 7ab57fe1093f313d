"""The breakdown of box errors with one overlap after the other, on boxes with whole corners: pixels are counted."""

from __future__ import annotations

from collections.abc import Sequence

Corners = tuple[int, int, int, int]


def pixels(box: Corners, extra: int) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + extra) for y in range(box[1], box[3] + extra)}


def kind_of(
    predicted: Corners | None, truth: Sequence[Corners], class_correct: bool | None, strict: bool, extra: int
) -> str:
    if class_correct is False:
        return "cls_wrong"
    if predicted is None:
        return "region_wrong"
    found = pixels(predicted, extra)
    covered = part = more = 0
    for each in truth:
        true = pixels(each, extra)
        overlap, union = len(found & true), len(found | true)
        if union and (2 * overlap > union or (2 * overlap == union and not strict)):
            return "correct"
        covered += bool(true) and overlap / len(true) > 0.3
        part += bool(found) and overlap / len(found) > 0.5
        more += bool(true) and overlap / len(true) >= 0.7
    if covered >= 2:
        return "multi_instances"
    if part:
        return "region_part"
    return "region_more" if more else "region_wrong"
