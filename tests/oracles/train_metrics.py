"""Average precision, class weights and drawing probabilities, spelt out."""

from __future__ import annotations

from collections.abc import Sequence


def average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Over the distinct scores from high to low: precision at that threshold times the gain in recall."""
    total = sum(positive)
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [is_positive for score, is_positive in zip(scores, positive, strict=True) if score >= threshold]
        precision, recall = sum(chosen) / len(chosen), sum(chosen) / total
        area += precision * (recall - recall_before)
        recall_before = recall
    return area


def class_accuracies(scores: Sequence[Sequence[float]], targets: Sequence[int], outputs: int) -> list[float | None]:
    """For each class the part of its images whose highest score, the first of equals, is at the class."""
    found: list[float | None] = []
    for c in range(outputs):
        rows = [list(row) for row, target in zip(scores, targets, strict=True) if target == c]
        found.append(sum(row.index(max(row)) == c for row in rows) / len(rows) if rows else None)
    return found


def draw_probabilities(labels: Sequence[frozenset[int]]) -> list[float]:
    """1 / (number of images of the rarest class in the image), scaled to sum 1; no label at all is one class."""

    def count(label: int | None) -> int:
        return sum((label in other) if label is not None else not other for other in labels)

    weights = [max(1 / count(label) for label in own) if own else 1 / count(None) for own in labels]
    return [weight / sum(weights) for weight in weights]
