"""PASCAL VOC's average precision of boxes: 11 points (2007) and the whole area (2010 and later) from one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.matching import ImageBoxes, Matches, match_images, to_image_boxes
from wsl.evaluate.detection.precision_recall import (
    PrecisionRecall,
    compute_area,
    compute_precision_recall,
    sample_envelope,
)
from wsl.evaluate.detection.ranking import Ranking, rank_detections, repeat_images
from wsl.evaluate.result import Score, compute_mean, name_class, to_optional
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.types import Box, ClassSet

PROTOCOL = "PASCAL VOC detection (Everingham et al., IJCV 2010)"
KINDS = ("area", "11_point")
BOX_RULES = ("half_open", "plus_one")
COMPARISONS = ("greater", "greater_equal")
RECALL_POINTS = ("tenths", "arange")
CLASS_MEANS = ("truth", "truth_or_predicted")
_NAMES = {"area": "VOC AP", "11_point": "VOC07 AP"}
_POINTS = {"tenths": np.arange(11) / 10, "arange": np.arange(0, 1.1, 0.1)}
_POINT_NAMES = {"tenths": "11 points, exact tenths", "arange": "11 points of np.arange(0, 1.1, 0.1)"}
_CURVE = np.arange(101) / 100


class VocAp:
    """Average precision per class, and its mean, as the VOC devkit counts it.

    Detections of a class are ranked by falling score; equal scores by image_id, within an image in the order given.
    Each is held against the true box of its class with the greatest IoU (see `match_images`): a hit when that IoU
    exceeds the threshold and the object is not taken; neither right nor wrong on a difficult object, and difficult
    objects need not be found.

    Args:
        iou_thresholds: in (0, 1].
        box_rule: "half_open" takes widths as x2 - x1. For boxes read from VOC files this is the devkit's number: its
            +1 belongs to corners that are both inside the box, and the readers make those half-open. "plus_one" adds 1
            to each side, for boxes whose x2, y2 are still the last pixel.
        comparison: "greater" (IoU > t, as detectron2) or "greater_equal".
        recall_points: of the 11-point mean. "tenths" are 0, 1/10, .. 1 exactly; "arange" are those of the Python copies
            of the devkit, where np.arange makes 0.30000000000000004 of 0.3, so that a recall of 3/10 does not reach it.
        class_mean: "truth" is over the classes with objects that count; "truth_or_predicted" adds the classes that are
            only predicted, with AP 0.
    """

    def __init__(
        self,
        iou_thresholds: Sequence[float] = (0.5,),
        box_rule: str = "half_open",
        comparison: str = "greater",
        recall_points: str = "tenths",
        class_mean: str = "truth",
    ) -> None:
        check_policy(box_rule, BOX_RULES, "box_rule")
        check_policy(comparison, COMPARISONS, "comparison")
        check_policy(recall_points, RECALL_POINTS, "recall_points")
        check_policy(class_mean, CLASS_MEANS, "class_mean")
        self.iou_thresholds = tuple(float(value) for value in iou_thresholds)
        if not self.iou_thresholds or not all(0 < value <= 1 for value in self.iou_thresholds):
            raise ConfigError(f"iou_thresholds: expected values in (0, 1], but got {self.iou_thresholds}.")
        self.box_rule, self.comparison = box_rule, comparison
        self.recall_points, self.class_mean = recall_points, class_mean
        self._images: dict[str, ImageBoxes] = {}

    def update(self, predicted: Sequence[Box], truth: Sequence[Box], name: str) -> None:
        """Adds one image: its predicted and its true boxes of all classes; `name` is its image_id.

        DataError for a name that was there before, and for boxes or scores that are not finite.
        """
        if name in self._images:
            raise DataError(f"{name}: this image was added before; each image_id may appear once.")
        self._images[name] = to_image_boxes(predicted, truth, name)

    def merge(self, other: VocAp) -> None:
        """Adds the images of `other`, made with the same settings; DataError when both have the same image."""
        if self._settings() != other._settings():
            raise ConfigError("Only VocAp objects with the same settings can be joined.")
        both = sorted(set(self._images) & set(other._images))
        if both:
            raise DataError(f"{both[0]}: this image is in both halves ({len(both)} in all); each may appear once.")
        self._images |= other._images

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The images so far, sorted: the columns of the weights of `resample`."""
        return tuple(sorted(self._images))

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """For each IoU threshold "VOC AP@t" (area) and "VOC07 AP@t" (11 points), with the AP of each class.

        The curve of the first holds the envelope of precision of each class at recalls 0, 0.01, .. 1; exact points are
        had from `precision_recall`. None without an object that counts.
        """
        result = []
        matches = self._match()
        for row in range(len(self.iou_thresholds)):
            rankings = rank_detections(matches, row)
            result += [self._score(kind, row, rankings, classes) for kind in KINDS]
        return result

    def rankings(self, iou_threshold: float | None = None) -> dict[int, Ranking]:
        """class id -> its judged detections, best first, at one of the thresholds (default the first).

        Images are numbered as in `image_ids`.
        """
        return self._rank(self._find_row(iou_threshold))

    def precision_recall(self, class_id: int, iou_threshold: float | None = None) -> PrecisionRecall:
        """Precision, recall and score after each detection of a class, at one of the thresholds (default the first)."""
        ranking = self.rankings(iou_threshold).get(class_id)
        if ranking is None:
            raise DataError(f"class id {class_id}: there is neither a detection nor an object of this class.")
        return compute_precision_recall(ranking.hits, ranking.positives, ranking.scores)

    def resample(
        self, weights: ArrayLike, iou_threshold: float | None = None, kind: str = "area"
    ) -> NDArray[np.float64]:
        """The mean AP of other samples of the same images: for bootstrap intervals.

        Args:
            weights: whole numbers (B, images) in the order of `image_ids`: how often each image is drawn. An image
                drawn twice counts as two images with equal boxes, the second right behind the first.
            iou_threshold: one of `iou_thresholds`, by default the first.
            kind: "area" or "11_point".

        Returns:
            float64 (B,), NaN for a draw without an object that counts.
        """
        check_policy(kind, KINDS, "kind")
        times = self._check_weights(weights)
        total, count = np.zeros(len(times)), np.zeros(len(times), np.int64)
        for ranking in self.rankings(iou_threshold).values():
            positives = times[:, ranking.true_images] @ ranking.true_counts
            for draw, row in enumerate(times):
                value = self._compute(kind, repeat_images(ranking, row), int(positives[draw]))
                if value is not None:
                    total[draw] += value
                    count[draw] += 1
        result = np.full(len(times), np.nan)
        np.divide(total, count, out=result, where=count > 0)
        return result

    def _compute(self, kind: str, hits: NDArray[np.bool_], positives: int) -> float | None:
        """AP of one class; None when it is not in the mean."""
        if positives == 0:
            return 0.0 if self.class_mean == "truth_or_predicted" and len(hits) else None
        if kind == "area":
            return compute_area(hits, positives)
        return float(sample_envelope(hits, positives, _POINTS[self.recall_points]).mean())

    def _rank(self, row: int) -> dict[int, Ranking]:
        return rank_detections(self._match(), row)

    def _match(self) -> Matches:
        images = [self._images[image_id] for image_id in self.image_ids]
        return match_images(
            images, self.iou_thresholds, inclusive=self.box_rule == "plus_one", strict=self.comparison == "greater"
        )

    def _find_row(self, iou_threshold: float | None) -> int:
        if iou_threshold is None:
            return 0
        if float(iou_threshold) not in self.iou_thresholds:
            raise ConfigError(f"iou_threshold: expected one of {self.iou_thresholds}, but got {iou_threshold}.")
        return self.iou_thresholds.index(float(iou_threshold))

    def _check_weights(self, weights: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(weights)
        whole = np.issubdtype(array.dtype, np.integer)
        if array.ndim != 2 or array.shape[1] != len(self._images) or not whole or (array < 0).any():
            raise DataError(
                f"weights: expected whole numbers >= 0 of shape (draws, {len(self._images)}), "
                f"but got {array.dtype} {array.shape}."
            )
        return array.astype(np.int64)

    def _score(self, kind: str, row: int, rankings: dict[int, Ranking], classes: ClassSet | None) -> Score:
        values = {each: self._compute(kind, ranking.hits, ranking.positives) for each, ranking in rankings.items()}
        return Score(
            name=f"{_NAMES[kind]}@{self.iou_thresholds[row]:g}",
            value=compute_mean(list(values.values())),
            protocol=PROTOCOL,
            conventions=self._conventions(kind),
            per_class={name_class(each, classes): _measure(values[each], rankings[each]) for each in rankings},
            counts=self._counts(rankings),
            curve=_make_curve(rankings, classes) if kind == "area" else None,
        )

    def _conventions(self, kind: str) -> dict[str, str]:
        return {
            "AP": "area under the envelope" if kind == "area" else _POINT_NAMES[self.recall_points],
            "box IoU": "half-open" if self.box_rule == "half_open" else "both ends counted (+1)",
            "class mean": self.class_mean.replace("_", " "),
            "comparison": "IoU >" if self.comparison == "greater" else "IoU >=",
            "difficult": "neither right nor wrong",
            "equal scores": "by image_id, then as given",
        }

    def _counts(self, rankings: dict[int, Ranking]) -> dict[str, int]:
        objects = sum(ranking.positives for ranking in rankings.values())
        return {
            "images": len(self._images),
            "objects": objects,
            "difficult objects": sum(len(boxes.truth) for boxes in self._images.values()) - objects,
            "results": sum(len(boxes.predicted) for boxes in self._images.values()),
        }

    def _settings(self) -> tuple[object, ...]:
        return self.iou_thresholds, self.box_rule, self.comparison, self.recall_points, self.class_mean


def _measure(value: float | None, ranking: Ranking) -> dict[str, float | None]:
    """AP of a class, and the recall and precision of all its detections together."""
    every = compute_precision_recall(ranking.hits, ranking.positives, ranking.scores)
    if not len(ranking.hits):
        return {"ap": value, "precision": None, "recall": 0.0 if ranking.positives else None}
    return {"ap": value, "precision": float(every.precision[-1]), "recall": to_optional(every.recall[-1])}


def _make_curve(rankings: dict[int, Ranking], classes: ClassSet | None) -> dict[str, list[float | None]] | None:
    columns: dict[str, list[float | None]] = {
        f"precision {name_class(class_id, classes)}": sample_envelope(ranking.hits, ranking.positives, _CURVE).tolist()
        for class_id, ranking in rankings.items()
        if ranking.positives
    }
    return {"recall": _CURVE.tolist(), **columns} if columns else None
