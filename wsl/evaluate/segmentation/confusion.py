"""Confusion matrix of a whole data set and what follows from it. Rows are ground truth, columns predictions."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_label_map, check_same_size
from wsl.errors import ConfigError, DataError, suggest
from wsl.types import IGNORE, LabelMap

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Sums = NDArray[np.int64] | NDArray[np.float64]  # counts, or counts of weighted images

PREDICTED_IGNORE = ("background", "exclude", "error")
ABSENT = ("skip", "zero", "ground_truth")
BACKGROUND_POLICIES = ("include", "exclude")
_EXACT_PIXELS = 1 << 24  # OpenCV gives its counts as float32, which is exact up to here


def check_policy(value: str, allowed: tuple[str, ...], name: str) -> None:
    """Raises ConfigError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ConfigError(f"{name}: expected one of {', '.join(allowed)}, but got '{value}'.{suggest(value, allowed)}")


def count_pairs(ground_truth: LabelMap, prediction: LabelMap, name: str = "") -> Counts:
    """How often each (ground truth, predicted) pair of values occurs: int64 (256, 256), 255 included.

    Both uint8 (H, W) of equal size, else DataError: nothing is ever resized. Everything else about label maps is
    decided on this table, so the pixels are read only once.
    """
    prefix = f"{name}: " if name else ""
    check_label_map(ground_truth, f"{prefix}ground truth")
    check_label_map(prediction, f"{prefix}prediction")
    check_same_size(prediction, ground_truth, f"{prefix}prediction", "ground truth")
    true, predicted = (np.ascontiguousarray(each).reshape(1, -1) for each in (ground_truth, prediction))
    table = np.zeros((256, 256), np.int64)
    for start in range(0, true.size, _EXACT_PIXELS):
        pair = [each[:, start : start + _EXACT_PIXELS] for each in (true, predicted)]
        table += cv2.calcHist(pair, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    return table


def reduce_pairs(
    pairs: Counts, num_classes: int, predicted_ignore: str = "background", name: str = ""
) -> tuple[Counts, Counts]:
    """(confusion int64 (N+1, N+1), excluded int64 (N+1,)) of a table of `count_pairs`, N = `num_classes`.

    Ground truth 255 is dropped. Predicted 255 on scored pixels: `background` counts as class 0, `exclude` leaves the
    pixel out and counts it in `excluded` under its true class, `error` is a DataError. Any other value outside 0..N
    is a DataError that names it.
    """
    check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
    prefix = f"{name}: " if name else ""
    check_values(pairs.sum(axis=1), num_classes, f"{prefix}ground truth")
    check_values(pairs.sum(axis=0), num_classes, f"{prefix}prediction")
    size = num_classes + 1
    confusion = pairs[:size, :size].copy()
    unsure = pairs[:size, IGNORE].copy()
    if predicted_ignore == "exclude":
        return confusion, unsure
    if predicted_ignore == "error" and unsure.any():
        raise DataError(
            f"{prefix}prediction holds {int(unsure.sum())} scored pixels of value 255 (not sure): "
            "choose predicted_ignore 'background' or 'exclude' to score such maps."
        )
    confusion[:, 0] += unsure
    return confusion, np.zeros(size, np.int64)


def check_values(histogram: Counts, num_classes: int, what: str) -> None:
    """Raises DataError when `histogram`, pixels per value (256,), has other values than 0..N and 255."""
    outside = [int(value) for value in np.flatnonzero(histogram) if num_classes < value < IGNORE]
    if outside:
        raise DataError(
            f"{what}: expected values 0..{num_classes} and 255, but found {outside[0]} "
            f"({int(histogram[outside[0]])} pixels). Does the class list fit?"
        )


def compute_confusion(
    ground_truth: LabelMap, prediction: LabelMap, num_classes: int, predicted_ignore: str = "background"
) -> Counts:
    """Confusion matrix int64 (N+1, N+1) of one image; see `reduce_pairs` for the treatment of 255.

    `ground_truth`, `prediction`: uint8 (H, W), 0 background, 1..N classes. DataError when sizes differ or values are
    outside.
    """
    return reduce_pairs(count_pairs(ground_truth, prediction), num_classes, predicted_ignore)[0]


class Confusion:
    """Confusion matrix over many images; `a + b` joins the counts of two halves of a data set exactly.

    `matrix` int64 (N+1, N+1) and `excluded` int64 (N+1,) as in `reduce_pairs`; `unsure` int64 (N+1,): scored pixels of
    each true class that were predicted as 255, whatever the policy made of them; `dropped`: pixels of ground truth 255.
    """

    def __init__(self, num_classes: int, predicted_ignore: str = "background") -> None:
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        self.num_classes = num_classes
        self.predicted_ignore = predicted_ignore
        self.matrix: Counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
        self.excluded: Counts = np.zeros(num_classes + 1, np.int64)
        self.unsure: Counts = np.zeros(num_classes + 1, np.int64)
        self.images = 0
        self.dropped = 0

    def update(self, ground_truth: LabelMap, prediction: LabelMap, name: str = "") -> None:
        """Adds one image, both uint8 (H, W); `name` appears in errors."""
        self.update_pairs(count_pairs(ground_truth, prediction, name), 1, name)

    def update_pairs(self, pairs: Counts, images: int, name: str = "") -> None:
        """Adds a table of `count_pairs` that holds `images` images."""
        matrix, excluded = reduce_pairs(pairs, self.num_classes, self.predicted_ignore, name)
        self.matrix += matrix
        self.excluded += excluded
        self.unsure += pairs[: self.num_classes + 1, IGNORE]
        self.images += images
        self.dropped += int(pairs[IGNORE].sum())

    def merge(self, other: Confusion) -> None:
        """Adds the counts of `other`, which must have the same classes and policy."""
        mine, theirs = (self.num_classes, self.predicted_ignore), (other.num_classes, other.predicted_ignore)
        if mine != theirs:
            raise ConfigError(f"Only equal confusions can be joined: (classes, predicted_ignore) {mine} and {theirs}.")
        self.matrix += other.matrix
        self.excluded += other.excluded
        self.unsure += other.unsure
        self.images += other.images
        self.dropped += other.dropped

    def __add__(self, other: Confusion) -> Confusion:
        both = Confusion(self.num_classes, self.predicted_ignore)
        both.merge(self)
        both.merge(other)
        return both


def compute_iou(confusion: Counts, absent: str = "skip") -> Values:
    """Intersection over union per class, float64 (N+1,), NaN for classes left out of the mean.

    `absent` decides about classes without ground truth: `skip` leaves out those absent from ground truth and
    prediction (chainercv, mmsegmentation), `ground_truth` all those absent from the ground truth, predicted or not
    (detectron2), `zero` leaves out none and gives them 0 (SEAM's evaluation).
    """
    return compute_iou_of_counts(*count_marginals(confusion), absent)


def compute_iou_of_counts(true: Sums, predicted: Sums, hit: Sums, absent: str = "skip") -> Values:
    """The same from the counts of true, predicted and rightly predicted pixels, (..., N+1) each, which may be weighted
    sums over images. Shapes that broadcast will do."""
    check_policy(absent, ABSENT, "absent")
    iou = divide(hit, true + predicted - hit)
    if absent == "zero":
        return np.nan_to_num(iou, nan=0.0)
    return np.where(true > 0, iou, np.nan) if absent == "ground_truth" else iou


def compute_precision(confusion: Counts) -> Values:
    """Share of the pixels predicted as a class that are of it: float64 (N+1,), NaN when none is predicted."""
    _, predicted, hit = count_marginals(confusion)
    return divide(hit, predicted)


def compute_recall(confusion: Counts) -> Values:
    """Share of a class's pixels that are found: float64 (N+1,), NaN when the class has no pixel."""
    true, _, hit = count_marginals(confusion)
    return divide(hit, true)


def compute_activation_errors(confusion: Counts) -> tuple[Values, Values]:
    """(over, under) activation per class, float64 (N+1,) each: FP / union and FN / union (SEAM's evaluation).

    iou + over + under = 1 for each class; NaN when a class is absent from both.
    """
    true, predicted, hit = count_marginals(confusion)
    union = true + predicted - hit
    return divide(predicted - hit, union), divide(true - hit, union)


def compute_pixel_accuracy(confusion: Counts) -> float | None:
    """Share of the scored pixels that are right, background included; None without pixels."""
    total = int(confusion.sum())
    return int(np.trace(confusion)) / total if total else None


def compute_coverage(true: Counts, unsure: Counts) -> float | None:
    """Share of the pixels with ground truth that the prediction decides on (is not 255); None without pixels.

    true: pixels of each class in the ground truth, int64 (N+1,), excluded ones too. unsure: those of them predicted as
    255, counted before any policy: a 255 that is scored as background is still no decision.
    """
    total = int(true.sum())
    return (total - int(unsure.sum())) / total if total else None


def count_marginals(confusion: Counts) -> tuple[Counts, Counts, Counts]:
    """(true, predicted, rightly predicted) pixels per class, int64 (N+1,) each."""
    return confusion.sum(axis=1), confusion.sum(axis=0), np.diagonal(confusion)


def divide(numerator: Sums, denominator: Sums) -> Values:
    """Quotient of counts or of weighted sums, float64, NaN where there is nothing to divide by."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
