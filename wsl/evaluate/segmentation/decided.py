"""Label maps that leave pixels undecided (255): how right is what they decide."""

from __future__ import annotations

from dataclasses import replace

from wsl.evaluate.result import Score, name_class, to_optional
from wsl.evaluate.segmentation.confusion import divide
from wsl.evaluate.segmentation.image_counts import ImageCounts
from wsl.types import ClassSet

PROTOCOL = "precision: right pixels of the decided ones, over all images"
CONVENTIONS = {"ground truth 255": "dropped", "predicted 255": "exclude"}


def precision_scores(counts: ImageCounts, classes: ClassSet | None = None) -> list[Score]:
    """Precision of everything that is decided, with that of each class, and precision of the foreground.

    The share of the pixels called something that are it: of all decided pixels, background included, and of those
    decided for a class. counts: made with predicted 255 excluded, so that they hold decided pixels alone.
    """
    hit, predicted = (counts.dense(values).sum(axis=0) for values in (counts.hit, counts.predicted))
    by_class = {name_class(index, classes): to_optional(value) for index, value in enumerate(divide(hit, predicted))}

    def make(name: str, first: int, pixels: str) -> Score:
        right, decided = int(hit[first:].sum()), int(predicted[first:].sum())
        sums = {"images": len(counts.image_ids), "decided pixels": decided}
        return Score(
            name, right / decided if decided else None, PROTOCOL, CONVENTIONS | {"pixels": pixels}, counts=sums
        )

    overall = make("precision", 0, "all that are decided, background too")
    per_class = {name: {"precision": value} for name, value in by_class.items()}
    return [
        replace(overall, per_class=per_class),
        make("precision foreground", 1, "those decided for a class"),
    ]
