"""Metrics of predicted boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.certainty.detection_table import DetectionTable
from wsl.evaluate.certainty.pair_table import PairTable
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.detection.coco import build_coco_ground_truth, build_coco_results, compute_coco_scores
from wsl.evaluate.detection.voc_ap import VocAp
from wsl.evaluate.localization.box_errors import BoxErrors
from wsl.evaluate.localization.given_boxes import BoxAccuracy, CorLoc
from wsl.evaluate.localization.overlap_rows import OverlapRows
from wsl.evaluate.metrics.case import BoxCase
from wsl.evaluate.metrics.metric import MetricSettings, register_metric
from wsl.evaluate.result import Score


@register_metric("coco", "boxes", needs=("boxes",), is_default=True)
class CocoBoxes:
    """COCO AP and AR of the boxes. All boxes are kept: COCO's matching needs them at once."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.cases: list[BoxCase] = []

    def update(self, case: BoxCase) -> None:
        """Adds one image; masks of the instances are not kept."""
        plain = tuple(replace(instance, segmentation=None) for instance in case.instances)
        self.cases.append(replace(case, instances=plain))

    def merge(self, other: CocoBoxes) -> None:
        """Adds the images of `other`."""
        self.cases += other.cases

    def scores(self) -> list[Score]:
        """COCO's twelve numbers."""
        # COCO's box scores need no image size
        images = ((case.image_id, (0, 0), case.instances) for case in self.cases)
        truth, numbers = build_coco_ground_truth(images, self.settings.classes)
        results = build_coco_results({case.image_id: case.predicted for case in self.cases}, numbers)
        return compute_coco_scores(truth, results, "bbox")

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}


@register_metric("voc_ap", "boxes", needs=("boxes",), is_default=True)
class VocBoxes:
    """VOC AP by area and by eleven points; crowds count as difficult objects."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings, self.sums = settings, VocAp()

    def update(self, case: BoxCase) -> None:
        """Adds one image."""
        truth = [replace(each.box, difficult=each.box.difficult or each.crowd) for each in case.instances]
        self.sums.update(case.predicted, truth, case.image_id)

    def merge(self, other: VocBoxes) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def scores(self) -> list[Score]:
        """Two scores."""
        crowd = {"crowd": "as difficult"}
        scores = self.sums.scores(self.settings.classes)
        return [replace(score, conventions=score.conventions | crowd) for score in scores]

    def tables(self) -> dict[str, ImageTable]:
        """Every judged detection."""
        columns = _detection_columns(self.sums)
        averages = {"VOC AP@0.5": "area", "VOC07 AP@0.5": "11_point"}
        return {name: DetectionTable(**columns, average=average) for name, average in averages.items()}


@register_metric("corloc", "boxes", needs=("boxes",), is_default=True)
class CorLocOfBoxes:
    """CorLoc of the top boxes."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings, self.sums = settings, CorLoc(keep_rows=True)

    def update(self, case: BoxCase) -> None:
        """Adds one image."""
        self.sums.update(case.predicted, case.objects, case.image_id)

    def merge(self, other: CorLocOfBoxes) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def scores(self) -> list[Score]:
        """One score."""
        return [self.sums.score(self.settings.classes)]

    def tables(self) -> dict[str, ImageTable]:
        """The overlap of every pair."""
        return {"CorLoc": PairTable(**_pair_columns(self.sums.rows()))}


@register_metric("box_accuracy", "boxes", needs=("boxes",), is_default=True)
class AccuracyOfBoxes:
    """Share of pairs whose top box, or any box, meets the object."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings, self.sums = settings, BoxAccuracy(keep_rows=True)

    def update(self, case: BoxCase) -> None:
        """Adds one image."""
        self.sums.update(case.predicted, case.objects, case.image_id)

    def merge(self, other: AccuracyOfBoxes) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def scores(self) -> list[Score]:
        """For the top box and for any box: three scores and their mean."""
        return self.sums.scores(self.settings.classes)

    def tables(self) -> dict[str, ImageTable]:
        """The overlap of every pair, for the two means."""
        columns = _pair_columns(self.sums.rows())
        shared: dict[str, Any] = {"iou_thresholds": self.sums.iou_thresholds, "comparison": ">=", "mean": "pairs"}
        return {f"BoxAcc {box}": PairTable(**columns, **shared, box=box) for box in ("top", "any")}


@register_metric("box_errors", "boxes", needs=("boxes",))
class ErrorsOfBoxes:
    """What is wrong with the top box of each class that is in the image."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings, self.sums = settings, BoxErrors()

    def update(self, case: BoxCase) -> None:
        """Adds one image."""
        for class_id in sorted({box.class_id for box in case.objects}):
            found = [box for box in case.predicted if box.class_id == class_id]
            top = max(found, key=lambda box: box.score) if found else None  # the first of equal scores
            self.sums.update(top, [box for box in case.objects if box.class_id == class_id], name=case.image_id)

    def merge(self, other: ErrorsOfBoxes) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def scores(self) -> list[Score]:
        """The share of each kind of error."""
        return self.sums.scores(self.settings.classes)

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}


def _pair_columns(rows: OverlapRows) -> dict[str, Any]:
    return {
        "image_ids": rows.image_ids,
        "row_image": rows.images,
        "row_class": rows.class_ids,
        "top": rows.top,
        "best": rows.best,
    }


def _detection_columns(sums: VocAp) -> dict[str, Any]:
    """The judged detections of all classes, class by class."""
    rankings = sums.rankings()
    parts = list(rankings.values())

    def join(arrays: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, dtype), *arrays])

    return {
        "image_ids": sums.image_ids,
        "row_image": join([each.images for each in parts], np.int64),
        "row_class": np.repeat(np.array(list(rankings), np.int64), [len(each.hits) for each in parts]),
        "score": join([each.scores for each in parts], np.float64),
        "hit": join([each.hits for each in parts], np.bool_),
        "true_image": join([each.true_images for each in parts], np.int64),
        "true_class": np.repeat(np.array(list(rankings), np.int64), [len(each.true_counts) for each in parts]),
        "true_count": join([each.true_counts for each in parts], np.int64),
    }
