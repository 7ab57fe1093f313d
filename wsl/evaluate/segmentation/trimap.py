"""Trimap IoU: mIoU of the pixels near the edges of the ground truth, for several widths at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, name_class, to_optional
from wsl.evaluate.segmentation.confusion import (
    PREDICTED_IGNORE,
    Counts,
    Values,
    check_policy,
    compute_iou,
    count_pairs,
    reduce_pairs,
)
from wsl.evaluate.segmentation.contours import compute_squared_distance, find_contours
from wsl.evaluate.segmentation.scores import average_classes, describe_policies
from wsl.types import ClassSet, LabelMap

PROTOCOL = "trimap IoU (Kohli et al., IJCV 2009): one confusion matrix over the bands of all images"
DEFAULT_WIDTHS = (1, 2, 5, 10, 20)


class TrimapIoU:
    """Confusion matrices restricted to a band of w pixels on both sides of the edges of the ground truth.

    A pixel is in the band of width w if its Euclidean distance to the nearest contour pixel is below w, so w = 1 is the
    contour itself: the two pixels that meet at each edge. Edges between a class and 255 count (in VOC most are of that
    kind); pixels of value 255 are never scored, the image border is no edge. `widths` in pixels, above 0. One distance
    transform per image serves all widths. `predicted_ignore` as in `reduce_pairs`.
    """

    def __init__(
        self, num_classes: int, widths: Sequence[float] = DEFAULT_WIDTHS, predicted_ignore: str = "background"
    ) -> None:
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        self.widths = tuple(sorted({float(width) for width in widths}))
        if not self.widths or not all(0 < width < np.inf for width in self.widths):
            raise ConfigError(f"widths: expected at least one, all above 0 pixels, but got {tuple(widths)}.")
        self.num_classes, self.predicted_ignore = num_classes, predicted_ignore
        self._rings: Counts = np.zeros((len(self.widths), num_classes + 1, num_classes + 1), np.int64)
        self._images = 0

    def update(self, ground_truth: LabelMap, prediction: LabelMap, name: str = "", pairs: Counts | None = None) -> None:
        """Adds one image, both uint8 (H, W); DataError when sizes differ or values are outside 0..N and 255.

        `pairs`: the table of `count_pairs` of the two, where it is known already.
        """
        whole = count_pairs(ground_truth, prediction, name) if pairs is None else pairs
        reduce_pairs(whole, self.num_classes, "background", name)  # all values, not only those of the band
        for index, true, predicted in self._iterate_rings(ground_truth, prediction):
            pairs = count_pairs(true, predicted, name)
            self._rings[index] += reduce_pairs(pairs, self.num_classes, self.predicted_ignore, name)[0]
        self._images += 1

    def merge(self, other: TrimapIoU) -> None:
        """Adds the counts of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only TrimapIoU objects with the same settings can be joined.")
        self._rings += other._rings
        self._images += other._images

    def confusions(self) -> Counts:
        """int64 (number of widths, N+1, N+1), rows ground truth, in the order of `widths`."""
        return np.cumsum(self._rings, axis=0)

    def scores(self, classes: ClassSet | None = None, absent: str = "skip", background: str = "include") -> list[Score]:
        """One mIoU per width, each with the curve over all widths; policies as in `segmentation_score`."""
        every = [compute_iou(matrix, absent) for matrix in self.confusions()]
        curve: dict[str, list[float | None]] = {
            "width": list(self.widths),
            "miou": [average_classes(iou, background) for iou in every],
        }
        conventions = describe_policies(absent, self.predicted_ignore, background) | {
            "ground truth 255": "not scored, makes an edge",
            "band": "Euclidean distance to the nearest contour pixel < width",
            "image border": "is no edge",
        }
        return [self._score(index, iou, classes, conventions, curve) for index, iou in enumerate(every)]

    def _score(
        self,
        index: int,
        iou: Values,
        classes: ClassSet | None,
        conventions: dict[str, str],
        curve: dict[str, list[float | None]],
    ) -> Score:
        return Score(
            name=f"trimap mIoU {self.widths[index]:g} px",
            value=curve["miou"][index],
            protocol=PROTOCOL,
            conventions=conventions,
            per_class={name_class(place, classes): {"iou": to_optional(one)} for place, one in enumerate(iou)},
            counts={"images": self._images, "scored pixels": int(self.confusions()[index].sum())},
            curve=curve,
        )

    def _iterate_rings(self, ground_truth: LabelMap, prediction: LabelMap) -> Iterator[tuple[int, LabelMap, LabelMap]]:
        """(index of the narrowest band that holds them, true, predicted) of the pixels of each ring, (1, P) each."""
        limits = np.square(self.widths)
        distance = compute_squared_distance(find_contours(ground_truth))
        inside = distance < limits[-1]
        ring = np.searchsorted(limits, distance[inside], side="right")
        true, predicted = ground_truth[inside], prediction[inside]
        for index in np.unique(ring):
            yield int(index), true[ring == index][None], predicted[ring == index][None]

    def _settings(self) -> tuple[object, ...]:
        return self.num_classes, self.widths, self.predicted_ignore
