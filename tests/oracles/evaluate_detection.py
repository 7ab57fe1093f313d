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


def boundary_of(mask: Sequence[Sequence[bool]], width: int) -> set[tuple[int, int]]:
    """Pixels of a mask with a pixel outside of it, or outside of the image, at most `width` rows and columns away."""
    rows, columns = len(mask), len(mask[0])
    steps = range(-width, width + 1)

    def is_inside(row: int, column: int) -> bool:
        return 0 <= row < rows and 0 <= column < columns and bool(mask[row][column])

    return {
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if mask[row][column] and not all(is_inside(row + down, column + right) for down in steps for right in steps)
    }


def boundary_iou(a: Sequence[Sequence[bool]], b: Sequence[Sequence[bool]]) -> float:
    """The lesser of the masks' IoU and their boundaries' (Cheng et al., CVPR 2021), 2 % of the diagonal wide."""
    rows, columns = len(a), len(a[0])
    width = max(1, round(0.02 * (rows**2 + columns**2) ** 0.5))
    whole = [
        {(row, column) for row in range(rows) for column in range(columns) if mask[row][column]} for mask in (a, b)
    ]
    edges = [boundary_of(mask, width) for mask in (a, b)]
    return min(len(first & second) / len(first | second) for first, second in (whole, edges))
