"""How well the classifier of a run knows the image-level labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.result import Score, to_optional
from wsl.pipeline.run_case import RunCase
from wsl.train.metrics import compute_accuracy, compute_mean_average_precision
from wsl.types import ClassSet

ACCURACY = "arg max over the classes; background where the softmax leaves more, or no sigmoid reaches 0.5"


class ImageLabelScorer:
    """How well the classifier knows the image-level labels: accuracy where images have one class, else mAP."""

    def __init__(self, classes: ClassSet, single_label: bool) -> None:
        self.classes, self.single_label = classes, single_label
        self.rows: list[np.ndarray[Any, Any]] = []
        self.labels: list[tuple[int, ...]] = []
        self.known: tuple[int, ...] = ()

    def update(self, case: RunCase) -> None:
        """Adds one image whose labels and probabilities are known."""
        pyramid = case.pyramid
        if case.sample.class_ids is not None and pyramid is not None and pyramid.known_ids:
            self.known = pyramid.known_ids
            self.rows.append(pyramid.probabilities)
            self.labels.append(case.sample.class_ids)

    def merge(self, other: ImageLabelScorer) -> None:
        """Adds the images of `other`."""
        self.known = other.known or self.known
        self.rows += other.rows
        self.labels += other.labels

    def scores(self) -> list[Score]:
        """One score, none without probabilities."""
        if not self.rows or not self.known:
            return []
        probabilities = np.stack(self.rows)
        counts = {"images": len(self.rows), "classes": len(self.known)}
        if self.single_label:
            return [Score("image accuracy", self._accuracy(probabilities), ACCURACY, counts=counts)]
        targets = np.array([[class_id in labels for class_id in self.known] for labels in self.labels])
        value, per_class = compute_mean_average_precision(probabilities, targets)
        pairs = zip(self.known, per_class, strict=True)
        named = {self.classes.name_of(class_id): {"AP": to_optional(value)} for class_id, value in pairs}
        protocol = "average precision per class over images"
        return [Score("image mAP", to_optional(value), protocol, per_class=named, counts=counts)]

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}

    def _accuracy(self, probabilities: np.ndarray[Any, Any]) -> float:
        """Background is a column of its own where some image has no object; a class without output is always wrong."""
        if any(labels == () for labels in self.labels):
            rest = 1 - probabilities.sum(1, keepdims=True)
            softmax = bool((rest >= -1e-4).all())
            probabilities = np.hstack([probabilities, rest if softmax else np.full_like(rest, 0.5)])
        columns = {class_id: column for column, class_id in enumerate(self.known)}
        truth = [columns.get(labels[0], -1) if labels else len(self.known) for labels in self.labels]
        return compute_accuracy(probabilities, np.array(truth))
