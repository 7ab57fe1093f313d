"""Boundary IoU of label maps: are the edges of the classes where they should be?"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wsl.checks import check_label_map
from wsl.errors import ConfigError
from wsl.evaluate.result import Score, name_class, to_optional
from wsl.evaluate.segmentation.confusion import (
    PREDICTED_IGNORE,
    Counts,
    check_policy,
    compute_iou_of_counts,
)
from wsl.evaluate.segmentation.scored_pixels import find_scored_pixels
from wsl.evaluate.segmentation.scores import average_classes, describe_policies
from wsl.types import IGNORE, ClassSet, LabelMap, Mask

PROTOCOL = "Boundary IoU (Cheng et al., CVPR 2021), per class, counts over all images"
VOID = ("boundary", "ignore")
_SHOWN_VOID = {"boundary": "not scored, makes a boundary", "ignore": "not scored, makes no boundary"}


def compute_boundary_width(size: tuple[int, int], ratio: float = 0.02) -> int:
    """Width d in pixels of the boundary region of an image (H, W): `ratio` of its diagonal, at least 1."""
    return max(1, round(ratio * math.hypot(*size)))


def find_boundary(label_map: LabelMap, width: int, void: str = "boundary") -> Mask:
    """The boundary pixels of all classes at once, bool (H, W), of a label map uint8 (H, W).

    The boundary region of class c is its mask G_c without the erosion of G_c by a 3x3 square, `width` = d times, where
    outside of the image counts as another class. That erosion keeps the pixels of c whose (2d+1) x (2d+1) window holds
    nothing but c. So a pixel labelled c is in the boundary region of c if and only if its window holds a second label
    or leaves the image, which does not depend on c: smallest and largest label of the window differ. One minimum and
    one maximum filter serve all classes, and the region of class c is `find_boundary(...) & (label_map == c)`.
    (Subtracting an eroded label map from the label map is something else: 5 beside 3 would leave the label 2.)

    `void`: with "boundary" 255 is a label like any other; with "ignore" a 255 in the window is no second label.
    """
    check_label_map(label_map)
    check_policy(void, VOID, "void")
    if width < 1:
        raise ConfigError(f"width: expected at least 1 pixel, but got {width}.")
    if label_map.size == 0:
        return np.zeros(label_map.shape, np.bool_)
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    # 255 is above every class, so the minimum passes over it by itself; for the maximum it has to go below them
    for_maximum = label_map if void == "boundary" else np.where(label_map == IGNORE, np.uint8(0), label_map)
    boundary: Mask = cv2.erode(label_map, square) != cv2.dilate(for_maximum, square)
    for frame in (boundary[:width], boundary[-width:], boundary[:, :width], boundary[:, -width:]):
        frame[...] = True
    return boundary


class BoundaryIoU:
    """IoU of the boundary regions of truth and prediction, class by class, over a data set.

    Per class: pixels in both regions / pixels in either, counted over all images (int64). `ratio`: width of the
    region as a share of the image diagonal (the paper: 0.02). Ground truth 255 is not scored; `void` says whether it
    makes a boundary of the classes beside it, see `find_boundary` (a prediction has its boundary somewhere within the
    255, so the classes on its two sides do not both reach 1). `predicted_ignore` as in `reduce_pairs`:
    `background` turns a predicted 255 into class 0 first, `exclude` does not score it and treats it by `void`.
    """

    def __init__(
        self,
        num_classes: int,
        ratio: float = 0.02,
        void: str = "boundary",
        predicted_ignore: str = "background",
    ) -> None:
        check_policy(void, VOID, "void")
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        if not 0 < ratio <= 1:
            raise ConfigError(f"ratio: expected a share of the diagonal in (0, 1], but got {ratio}.")
        self.num_classes, self.ratio, self.void = num_classes, float(ratio), void
        self.predicted_ignore = predicted_ignore
        self._counts: Counts = np.zeros((3, num_classes + 1), np.int64)  # true, predicted, both
        self._images = 0

    def update(
        self, ground_truth: LabelMap, prediction: LabelMap, name: str = "", pairs: Counts | None = None
    ) -> Counts:
        """Adds one image, both uint8 (H, W), values 0..N and 255; DataError when sizes differ or values do not fit.

        `pairs` as in `find_scored_pixels`. Returns the image's own counts, int64 (3, N+1): pixels in the true boundary
        of each class, in the predicted one, in both.
        """
        prediction, scored = find_scored_pixels(
            ground_truth, prediction, self.num_classes, self.predicted_ignore, name, pairs
        )
        width = compute_boundary_width(ground_truth.shape[:2], self.ratio)
        true = find_boundary(ground_truth, width, self.void) & scored
        predicted = find_boundary(prediction, width, self.void) & scored
        both = true & predicted & (ground_truth == prediction)
        chosen = (ground_truth[true], prediction[predicted], ground_truth[both])
        counts = np.stack([np.bincount(values, minlength=self.num_classes + 1) for values in chosen])
        self._counts += counts
        self._images += 1
        return counts

    def merge(self, other: BoundaryIoU) -> None:
        """Adds the counts of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only BoundaryIoU objects with the same settings can be joined.")
        self._counts += other._counts
        self._images += other._images

    def scores(self, classes: ClassSet | None = None, absent: str = "skip", background: str = "include") -> list[Score]:
        """The mean over classes, with the IoU of each; `absent` as in `compute_iou`, for classes without boundary."""
        true, predicted, both = self._counts
        iou = compute_iou_of_counts(true, predicted, both, absent)
        policies = describe_policies(absent, self.predicted_ignore, background)
        own = {"ground truth 255": _SHOWN_VOID[self.void], "boundary width": f"{self.ratio:g} of the diagonal"}
        return [
            Score(
                name="boundary mIoU",
                value=average_classes(iou, background),
                protocol=PROTOCOL,
                conventions=policies | own | {"image border": "is a boundary"},
                per_class={name_class(index, classes): {"iou": to_optional(one)} for index, one in enumerate(iou)},
                counts={"images": self._images, "true boundary pixels": int(self._counts[0].sum())},
            )
        ]

    def _settings(self) -> tuple[object, ...]:
        return self.num_classes, self.ratio, self.void, self.predicted_ignore
