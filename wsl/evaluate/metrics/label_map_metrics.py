"""Metrics of label maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wsl.evaluate.certainty.ratio_table import RatioTable
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.metrics.case import LabelMapCase
from wsl.evaluate.metrics.metric import MetricSettings, register_metric
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.boundary import BoundaryIoU
from wsl.evaluate.segmentation.boundary_f import BoundaryF
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.decided import precision_scores
from wsl.evaluate.segmentation.image_counts import ImageCounter, ImageCounts
from wsl.evaluate.segmentation.image_scores import compute_image_mious, image_score
from wsl.evaluate.segmentation.scores import segmentation_scores
from wsl.evaluate.segmentation.size_bins import SizeBins
from wsl.evaluate.segmentation.trimap import TrimapIoU


class LabelMapMetric:
    """Base: sums that take (truth, prediction, name, pairs) and need no table."""

    sums: Any

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings

    def update(self, case: LabelMapCase) -> None:
        """Adds one image."""
        self.sums.update(case.truth, case.prediction, case.image_id, case.pairs)

    def merge(self, other: LabelMapMetric) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}


@register_metric("miou", "label_maps", needs=("masks",), is_default=True)
class Miou(LabelMapMetric):
    """mIoU, mIoU of the foreground, pixel accuracy and coverage from one confusion matrix; counts of every image."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = Confusion(len(settings.classes), settings.predicted_ignore)
        self.counter = ImageCounter(len(settings.classes), settings.predicted_ignore)

    def update(self, case: LabelMapCase) -> None:
        """Adds one image."""
        height, width = case.truth.shape
        self.sums.update_pairs(case.pairs, 1, case.image_id)
        self.counter.update_pairs(case.pairs, (height, width), case.image_id)

    def merge(self, other: Miou) -> None:  # type: ignore[override]
        """Adds the images of `other`."""
        self.sums.merge(other.sums)
        self.counter.merge(other.counter)

    def scores(self) -> list[Score]:
        """Four scores."""
        settings = self.settings
        return segmentation_scores(self.sums, settings.classes, settings.absent, background=settings.background)

    def tables(self) -> dict[str, ImageTable]:
        """The counts of every image."""
        counts = self.counter.counts()
        table = make_segmentation_table(counts, self.settings)
        foreground = replace(table, background="exclude")
        return {"mIoU": table, "mIoU foreground": foreground, "pixel accuracy": make_accuracy_table(counts)}


def make_segmentation_table(counts: ImageCounts, settings: MetricSettings) -> SegmentationTable:
    """The table of mIoU, of whatever pixels were counted, under the policies of `settings`."""
    return SegmentationTable(
        image_ids=counts.image_ids,
        row_image=counts.row_image,
        row_class=counts.row_class,
        true=counts.true,
        predicted=counts.predicted,
        hit=counts.hit,
        num_classes=counts.num_classes,
        absent=settings.absent,
        background=settings.background,
        predicted_ignore=counts.predicted_ignore,
    )


def make_accuracy_table(counts: ImageCounts) -> RatioTable:
    """Right pixels of the scored pixels of every image."""
    right, scored = (counts.dense(values).sum(axis=1) for values in (counts.hit, counts.true))
    places = np.arange(len(counts.image_ids))
    return RatioTable(counts.image_ids, places, right, scored, of_truth=counts.predicted_ignore != "exclude")


def make_image_table(counts: ImageCounts, settings: MetricSettings) -> RatioTable:
    """mIoU of every image that has one. With classes that are absent from the truth, or pixels that the prediction
    leaves out, it can depend on the prediction which images those are."""
    values = compute_image_mious(counts, settings.absent, settings.background)
    places = np.flatnonzero(~np.isnan(values))
    free = settings.absent == "skip" and settings.background == "exclude"
    of_truth = counts.predicted_ignore != "exclude" and not free
    return RatioTable(counts.image_ids, places, values[places], np.ones(len(places), np.int64), of_truth)


@register_metric("image_miou", "label_maps", needs=("masks",))
class ImageMiou(LabelMapMetric):
    """Mean of the IoUs of single images."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = ImageCounter(len(settings.classes), settings.predicted_ignore)

    def update(self, case: LabelMapCase) -> None:
        """Adds one image."""
        height, width = case.truth.shape
        self.sums.update_pairs(case.pairs, (height, width), case.image_id)

    def scores(self) -> list[Score]:
        """One score."""
        settings = self.settings
        return [image_score(self.sums.counts(), settings.classes, settings.absent, settings.background)]

    def tables(self) -> dict[str, ImageTable]:
        """The value of every image."""
        return {"mIoU per image": make_image_table(self.sums.counts(), self.settings)}


@register_metric("precision", "label_maps", needs=("masks",))
class Precision(LabelMapMetric):
    """How much of what label maps decide is right: 255 excluded whatever the policy, see coverage."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = ImageCounter(len(settings.classes), "exclude")

    def update(self, case: LabelMapCase) -> None:
        """Adds one image."""
        height, width = case.truth.shape
        self.sums.update_pairs(case.pairs, (height, width), case.image_id)

    def scores(self) -> list[Score]:
        """Two scores."""
        return precision_scores(self.sums.counts(), self.settings.classes)

    def tables(self) -> dict[str, ImageTable]:
        """Right pixels of the decided ones of every image."""
        counts = self.sums.counts()
        return {"precision": make_precision_table(counts, 0), "precision foreground": make_precision_table(counts, 1)}


def make_precision_table(counts: ImageCounts, first: int) -> RatioTable:
    """Right pixels of the pixels predicted as one of the classes from `first` on, of every image."""
    right, decided = (counts.dense(values)[:, first:].sum(axis=1) for values in (counts.hit, counts.predicted))
    return RatioTable(counts.image_ids, np.arange(len(counts.image_ids)), right, decided, of_truth=False)


@register_metric("boundary_miou", "label_maps", needs=("masks",), is_default=True)
class BoundaryMiou(LabelMapMetric):
    """IoU of the boundary regions."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = BoundaryIoU(len(settings.classes), predicted_ignore=settings.predicted_ignore)
        self.counter = ImageCounter(len(settings.classes), settings.predicted_ignore)

    def update(self, case: LabelMapCase) -> None:
        """Adds one image."""
        height, width = case.truth.shape
        counts = self.sums.update(case.truth, case.prediction, case.image_id, case.pairs)
        self.counter.update_marginals(counts, (height, width), case.image_id)

    def merge(self, other: BoundaryMiou) -> None:  # type: ignore[override]
        """Adds the images of `other`."""
        self.sums.merge(other.sums)
        self.counter.merge(other.counter)

    def scores(self) -> list[Score]:
        """One score."""
        scores: list[Score] = self.sums.scores(self.settings.classes, self.settings.absent, self.settings.background)
        return scores

    def tables(self) -> dict[str, ImageTable]:
        """The boundary pixels of every image."""
        return {"boundary mIoU": make_segmentation_table(self.counter.counts(), self.settings)}


@register_metric("trimap_miou", "label_maps", needs=("masks",))
class TrimapMiou(LabelMapMetric):
    """mIoU near the edges of the truth, at several widths."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = TrimapIoU(len(settings.classes), predicted_ignore=settings.predicted_ignore)

    def scores(self) -> list[Score]:
        """A score per width."""
        scores: list[Score] = self.sums.scores(self.settings.classes, self.settings.absent, self.settings.background)
        return scores


@register_metric("boundary_f", "label_maps", needs=("masks",))
class ContourF(LabelMapMetric):
    """F of the contours."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = BoundaryF(len(settings.classes), predicted_ignore=settings.predicted_ignore)

    def scores(self) -> list[Score]:
        """One score."""
        scores: list[Score] = self.sums.scores(self.settings.classes, self.settings.background)
        return scores


@register_metric("size_bins", "label_maps", needs=("masks",))
class RegionSizes(LabelMapMetric):
    """What is found of small and large regions."""

    def __init__(self, settings: MetricSettings) -> None:
        super().__init__(settings)
        self.sums = SizeBins(len(settings.classes), predicted_ignore=settings.predicted_ignore)

    def scores(self) -> list[Score]:
        """Two scores per bin."""
        scores: list[Score] = self.sums.scores(self.settings.classes)
        return scores
