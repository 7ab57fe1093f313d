"""Boundary F: precision and recall of contour pixels within a small distance, per image and class."""

from __future__ import annotations

import math

import numpy as np

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.evaluate.segmentation.confusion import BACKGROUND_POLICIES, PREDICTED_IGNORE, Counts, check_policy
from wsl.evaluate.segmentation.contours import compute_squared_distance, find_contours
from wsl.evaluate.segmentation.scored_pixels import find_scored_pixels
from wsl.evaluate.segmentation.scores import SHOWN_BACKGROUND
from wsl.types import IGNORE, ClassSet, LabelMap, Mask

PROTOCOL = "boundary F (Csurka et al., BMVC 2013; DAVIS' F): contour pixels matched within a tolerance"
PRESENT = ("ground_truth", "either")
Row = tuple[int, int, int, int]  # true contour pixels, found ones; predicted contour pixels, right ones


class BoundaryF:
    """F = 2PR / (P + R) of the contour of each class of each image; per class the mean over the images that have it.

    P is the share of predicted contour pixels with a true contour pixel of the class within `tolerance` times the
    image diagonal (Euclidean, <=), R the share of true ones with a predicted one. Contours as in `find_contours`: the
    outermost pixels of the class, the image border makes none. `present` names the images that have a class: those
    with it in the `ground_truth`, or in `either` map (then a class that is not there at all costs, with F = 0).

    F of a class without contour (it fills the image): 1 when the other map has it and has no contour either, else 0.
    Ground truth 255 makes contours of the classes beside it; predicted contour pixels on it are not in P, but do find
    true ones. `predicted_ignore` as in `reduce_pairs`; with `exclude` a predicted 255 makes contours and has none.
    """

    def __init__(
        self,
        num_classes: int,
        tolerance: float = 0.0075,
        present: str = "ground_truth",
        predicted_ignore: str = "background",
    ) -> None:
        check_policy(present, PRESENT, "present")
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        if not 0 <= tolerance <= 1:
            raise ConfigError(f"tolerance: expected a share of the diagonal in [0, 1], but got {tolerance}.")
        self.num_classes, self.tolerance = num_classes, float(tolerance)
        self.present, self.predicted_ignore = present, predicted_ignore
        self._values: dict[int, list[float]] = {}  # class id -> F of each image
        self._images = 0

    def update(self, ground_truth: LabelMap, prediction: LabelMap, name: str = "", pairs: Counts | None = None) -> None:
        """Adds one image, both uint8 (H, W), values 0..N and 255; DataError when sizes differ or values do not fit.

        `pairs` as in `find_scored_pixels`.
        """
        prediction, scored = find_scored_pixels(
            ground_truth, prediction, self.num_classes, self.predicted_ignore, name, pairs
        )
        true_contours, contours = find_contours(ground_truth), find_contours(prediction)
        limit = (self.tolerance * math.hypot(*ground_truth.shape)) ** 2
        for class_id in self._list_present(ground_truth, prediction[scored]):
            true, predicted = ground_truth == class_id, prediction == class_id
            value = 0.0
            if true.any() and predicted.any():
                value = _compute_f(_count_matches(true & true_contours, predicted & contours, scored, limit))
            self._values.setdefault(class_id, []).append(value)
        self._images += 1

    def merge(self, other: BoundaryF) -> None:
        """Adds the images of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only BoundaryF objects with the same settings can be joined.")
        for class_id, values in other._values.items():
            self._values.setdefault(class_id, []).extend(values)
        self._images += other._images

    def scores(self, classes: ClassSet | None = None, background: str = "include") -> list[Score]:
        """The mean over the classes that any image has, with F and number of images of each class."""
        check_policy(background, BACKGROUND_POLICIES, "background")
        means = {class_id: compute_mean(self._values[class_id]) for class_id in sorted(self._values)}
        in_mean = [value for class_id, value in means.items() if class_id or background == "include"]
        return [
            Score(
                name="boundary F",
                value=compute_mean(in_mean),
                protocol=PROTOCOL,
                conventions=self._conventions(background),
                per_class={
                    name_class(class_id, classes): {"f": value, "images": float(len(self._values[class_id]))}
                    for class_id, value in means.items()
                },
                counts={"images": self._images, "image-class pairs": sum(map(len, self._values.values()))},
            )
        ]

    def _list_present(self, ground_truth: LabelMap, predicted: LabelMap) -> list[int]:
        there: Counts = np.bincount(ground_truth.ravel(), minlength=256)
        if self.present == "either":
            there = there + np.bincount(predicted, minlength=256)
        return [int(class_id) for class_id in np.flatnonzero(there) if class_id != IGNORE]

    def _conventions(self, background: str) -> dict[str, str]:
        return {
            "averaging": "per class over the images that have it, then over classes",
            "images of a class": self.present,
            "tolerance": f"{self.tolerance:g} of the diagonal",
            "background": SHOWN_BACKGROUND[background],
            "ground truth 255": "not scored, makes a contour",
            "predicted 255": self.predicted_ignore,
            "image border": "makes no contour",
        }

    def _settings(self) -> tuple[object, ...]:
        return self.num_classes, self.tolerance, self.present, self.predicted_ignore


def _count_matches(true: Mask, predicted: Mask, scored: Mask, limit: float) -> Row:
    """`limit` is the square of the largest distance at which two contour pixels match."""
    found = compute_squared_distance(predicted)[true & scored] <= limit
    right = compute_squared_distance(true)[predicted & scored] <= limit
    return len(found), int(found.sum()), len(right), int(right.sum())


def _compute_f(row: Row) -> float:
    """F of the counts; a side without contour pixels is right only if the other has none either."""
    true, found, predicted, right = row
    if not true or not predicted:
        return float(true == predicted)
    precision, recall = right / predicted, found / true
    return 2 * precision * recall / (precision + recall) if right else 0.0
