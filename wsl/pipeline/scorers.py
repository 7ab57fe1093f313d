"""Scorers of a run: each takes one image after the other, then gives its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from wsl.cam.store import read_pyramid
from wsl.config import EvaluateConfig
from wsl.data.ground_truth import read_ground_truth
from wsl.data.label_maps import read_label_map
from wsl.evaluate.detection.coco import build_coco_ground_truth, build_coco_results, compute_coco_scores
from wsl.evaluate.localization.given_boxes import BoxAccuracy, CorLoc
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.result import Score, to_optional
from wsl.evaluate.segmentation.baseline import centre_box_label_map
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_score
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.export.coco import iterate_annotations
from wsl.export.record import ExportRecord
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.train.metrics import compute_accuracy, compute_mean_average_precision
from wsl.types import BACKGROUND, IGNORE, Box, ClassSet, Instance, LabelMap, Sample, ScoreMaps

ACCURACY = "arg max over the classes; background where the softmax leaves more, or no sigmoid reaches 0.5"


class Scorer(Protocol):
    """Takes images, gives scores."""

    def update(self, sample: Sample, maps: ScoreMaps, files: StageFiles) -> None:
        """Adds one image: its maps in memory, the other results on disk."""
        ...

    def scores(self) -> list[Score]:
        """The scores of all images added so far."""
        ...


class MaskScorer:
    """mIoU of the score maps, of a centre box, of the seeds and of the refined label maps."""

    def __init__(self, classes: ClassSet, settings: EvaluateConfig, fixed: float | None) -> None:
        self.classes, self.absent, self.fixed = classes, settings.absent, fixed
        steps = np.arange(settings.sweep_steps) / settings.sweep_steps
        self.sweep = BackgroundSweep(len(classes), np.unique(steps if fixed is None else np.append(steps, fixed)))
        policies = {"centre box": "error", "seeds": settings.predicted_ignore, "seeds, sure pixels": "exclude"}
        policies["refined"] = settings.predicted_ignore
        self.confusions = {name: Confusion(len(classes), policy) for name, policy in policies.items()}

    def update(self, sample: Sample, maps: ScoreMaps, files: StageFiles) -> None:
        truth = read_ground_truth(sample, maps.size, len(self.classes))
        if truth is None:
            return
        self.sweep.update(maps.scores, maps.class_ids, truth, sample.image_id)
        seeds = read_label_map(files.seeds(sample.image_id))
        predictions = {"centre box": centre_box_like(seeds), "seeds": seeds, "seeds, sure pixels": seeds}
        predictions["refined"] = read_label_map(files.refined(sample.image_id))
        for name, prediction in predictions.items():
            self.confusions[name].update(truth, prediction, sample.image_id)

    def scores(self) -> list[Score]:
        maps = [self.sweep.best(self.classes, self.absent)]
        if self.fixed is not None:
            maps.append(self.sweep.at(self.fixed, "fixed", self.classes, self.absent))
        named = [rename(score, "CAM mIoU") for score in maps]
        for name, confusion in self.confusions.items():
            named.append(segmentation_score(confusion, self.classes, self.absent, name=f"{name} mIoU"))
        return named


def centre_box_like(seeds: LabelMap) -> LabelMap:
    """A centred box with the seeds' foreground area and their largest class: what knowing nothing would give."""
    areas = np.bincount(seeds.ravel(), minlength=256)
    areas[[BACKGROUND, IGNORE]] = 0
    size = (seeds.shape[0], seeds.shape[1])
    return centre_box_label_map(size, int(areas.sum()), int(areas.argmax()) if areas.any() else BACKGROUND)


class BoxScorer:
    """MaxBoxAcc of the score maps; CorLoc and accuracy of the boxes."""

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        self.from_maps, self.corloc, self.accuracy = MaxBoxAcc(), CorLoc(), BoxAccuracy()

    def update(self, sample: Sample, maps: ScoreMaps, files: StageFiles) -> None:
        if sample.instances is None:  # not annotated, which is not the same as without objects
            return
        truth = [instance.box for instance in sample.instances if not instance.crowd]
        predicted = read_boxes(files.boxes(sample.image_id))
        self.corloc.update(predicted, truth)
        self.accuracy.update(predicted, truth)
        rows = {class_id: row for row, class_id in enumerate(maps.class_ids)}
        for class_id in sorted({box.class_id for box in truth}):
            # A class of the image without a map counts as a miss, which is what a constant map is.
            found = maps.scores[rows[class_id]] if class_id in rows else np.zeros(maps.size, np.float32)
            self.from_maps.update(found, [box for box in truth if box.class_id == class_id], name=sample.image_id)

    def scores(self) -> list[Score]:
        return [
            *self.from_maps.scores(self.classes),
            self.corloc.score(self.classes),
            *self.accuracy.scores(self.classes),
        ]


class DetectionScorer:
    """COCO AP of the boxes, and of the refined masks' connected regions where the truth has instance masks.

    pycocotools needs all objects at once, so memory grows with their number (boxes and run lengths, not pixels).
    """

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        self.truth: list[tuple[str, tuple[int, int], tuple[Instance, ...]]] = []
        self.boxes: dict[str, list[Box]] = {}
        self.masks: dict[str, list[dict[str, Any]]] = {}

    def update(self, sample: Sample, maps: ScoreMaps, files: StageFiles) -> None:
        if sample.instances is None:
            return
        self.truth.append((sample.image_id, maps.size, sample.instances))
        self.boxes[sample.image_id] = boxes = read_boxes(files.boxes(sample.image_id))
        if self._has_masks(sample.instances):
            label_map = read_label_map(files.refined(sample.image_id))
            record = ExportRecord(sample.image_id, sample.image_id, maps.size, label_map, tuple(boxes))
            self.masks[sample.image_id] = list(iterate_annotations(record))

    def scores(self) -> list[Score]:
        truth, numbers = build_coco_ground_truth(self.truth, self.classes)
        scores = compute_coco_scores(truth, build_coco_results(self.boxes, numbers), "bbox")
        if self.masks and all(self._has_masks(instances) for _, _, instances in self.truth):
            found = [{**mask, "image_id": numbers[each]} for each, masks in self.masks.items() for mask in masks]
            scores += compute_coco_scores(truth, found, "segm")
        # the headline numbers; the other nine of each kind are in the JSON of `wsl evaluate PRED GT`
        return [score for score in scores if score.name.split(" ", 1)[1] in ("AP", "AP50", "AR@100")]

    @staticmethod
    def _has_masks(instances: Sequence[Instance]) -> bool:
        return all(instance.segmentation is not None for instance in instances)


class ImageLabelScorer:
    """How well the classifier knows the image-level labels: accuracy where images have one class, else mAP."""

    def __init__(self, classes: ClassSet, single_label: bool) -> None:
        self.classes, self.single_label = classes, single_label
        self.rows: list[np.ndarray[Any, Any]] = []
        self.labels: list[tuple[int, ...]] = []
        self.known: tuple[int, ...] = ()

    def update(self, sample: Sample, maps: ScoreMaps, files: StageFiles) -> None:
        pyramid = read_pyramid(files.maps(sample.image_id), sample.image_id)
        if sample.class_ids is not None and pyramid is not None and pyramid.known_ids:
            self.known = pyramid.known_ids
            self.rows.append(pyramid.probabilities)
            self.labels.append(sample.class_ids)

    def scores(self) -> list[Score]:
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
        return [
            Score(
                "image mAP",
                to_optional(value),
                "average precision per class over images",
                per_class=named,
                counts=counts,
            )
        ]

    def _accuracy(self, probabilities: np.ndarray[Any, Any]) -> float:
        """Background is a column of its own where some image has no object; a class without output is always wrong."""
        if any(labels == () for labels in self.labels):
            rest = 1 - probabilities.sum(1, keepdims=True)
            softmax = bool((rest >= -1e-4).all())
            probabilities = np.hstack([probabilities, rest if softmax else np.full_like(rest, 0.5)])
        columns = {class_id: column for column, class_id in enumerate(self.known)}
        truth = [columns.get(labels[0], -1) if labels else len(self.known) for labels in self.labels]
        return compute_accuracy(probabilities, np.array(truth))


def rename(score: Score, name: str) -> Score:
    """The same score under another name."""
    return Score(**{**score.__dict__, "name": name})
