"""Metrics of the boxes that score maps give at every threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.localization.box_protocols import get_protocol
from wsl.evaluate.localization.box_protocols import list_thresholds as list_own_thresholds
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.top_k import TopKLocalization
from wsl.evaluate.metrics.case import ScoreMapCase
from wsl.evaluate.metrics.map_tables import tabulate_boxes
from wsl.evaluate.metrics.map_thresholds import add_evidence, asks_oracle, list_thresholds, make_label_free
from wsl.evaluate.metrics.metric import MetricSettings, register_metric
from wsl.evaluate.result import Score
from wsl.evaluate.thresholds import GivenThreshold, add_gap

KS = (1, 5)  # as far as the classifier knows so many classes
TOP_K_IOU = 0.5


@register_metric("max_box_acc", "score_maps", needs=("boxes",), is_default=True)
class BoxesOfMaps:
    """MaxBoxAcc V1 and V2; GT-known, Top-1 and Top-5 localization where the classifier's ranking is known."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.sums = MaxBoxAcc(thresholds=_box_thresholds(settings), protocol=settings.protocol, keep_curves=True)
        self.label_free = make_label_free(settings, self.sums.thresholds.tolist())
        self.rankings: dict[str, tuple[int, ...]] = {}

    def update(self, case: ScoreMapCase) -> None:
        """Adds every true class of one image; a class without a map is a miss, as a constant map is."""
        if not case.boxes:
            return
        rows = {class_id: row for row, class_id in enumerate(case.class_ids)}
        for class_id in sorted({box.class_id for box in case.boxes}):
            boxes = [box for box in case.boxes if box.class_id == class_id]
            found = case.scores[rows[class_id]] if class_id in rows else np.zeros(case.size, np.float32)
            self.sums.update(found, boxes, case.size, case.image_id)
            if self.label_free is not None and class_id in rows:
                views = [_stretch(view[rows[class_id]])[None] for view in case.views]
                add_evidence(self.label_free, case, _stretch(found)[None], views)
        if case.ranking is not None:
            self.rankings[case.image_id] = case.ranking

    def merge(self, other: BoxesOfMaps) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)
        self.rankings |= other.rankings
        if self.label_free is not None and other.label_free is not None:
            self.label_free.merge(other.label_free)

    def thresholds(self) -> list[GivenThreshold]:
        """Given ones and those that a label-free rule chose on these images."""
        return list_thresholds("max_box_acc", self.settings, self.label_free)

    def scores(self) -> list[Score]:
        """Each at its own best threshold, then all at each threshold that is asked for."""
        classes, top_k = self.settings.classes, self._rank()
        best = [*self.sums.scores(classes), *(top_k.scores(classes) if top_k else [])]
        scores = best if asks_oracle(self.settings) else []
        for given in self.thresholds():
            found = [*self.sums.at(given.value, given.provenance, classes)]
            found += top_k.at(given.value, given.provenance, classes) if top_k else []
            scores = scores + [add_gap(each, given, one.value) for each, one in zip(found, best, strict=True)]
        return scores

    def choices(self) -> dict[str, float]:
        """The threshold that is best here by the mean of V2 over the IoU thresholds, the lowest of equal ones."""
        curves = self.sums.curves()
        if not curves.image_ids:
            return {}
        hits = [(curves.best[:, 1] >= limit).sum(axis=0) for limit in self.sums.iou_thresholds]
        return {"max_box_acc": float(curves.thresholds[int(np.argmax(np.sum(hits, axis=0)))])}

    def tables(self) -> dict[str, ImageTable]:
        """The IoU of every pair at every threshold, for the mean of V2 and for V1."""
        return tabulate_boxes(self.sums, self.scores())

    def _rank(self) -> TopKLocalization | None:
        """Top-k from the curves of V1 and the rankings; None where no image has one."""
        if not self.rankings:
            return None
        curves, shortest = self.sums.curves(), min(len(ranking) for ranking in self.rankings.values())
        ks = [k for k in KS if k <= shortest]
        top_k = TopKLocalization(curves.thresholds, ks, iou_threshold=TOP_K_IOU)
        places: dict[str, list[int]] = {}
        for place, image_id in enumerate(curves.image_ids):
            places.setdefault(image_id, []).append(place)
        for image_id, ranking in sorted(self.rankings.items()):
            best = {int(curves.class_ids[place]): curves.best[place, 0] for place in places.get(image_id, [])}
            if best:
                top_k.update(best, ranking, image_id)
        return top_k


def _box_thresholds(settings: MetricSettings) -> NDArray[np.float64] | None:
    """The protocol's own thresholds and the given ones that are not among them; None without any."""
    own = list_own_thresholds(get_protocol(settings.protocol))
    given = [each.value for each in settings.given if each.metric == "max_box_acc"]
    more = [value for value in given if not np.isclose(own, value, rtol=0, atol=1e-9).any()]
    return np.unique([*own, *more]) if more else None


def _stretch(score_map: NDArray[np.floating]) -> NDArray[np.float32]:
    """To [0, 1]; zeros for a constant map."""
    low, high = float(score_map.min()), float(score_map.max())
    return (
        np.zeros(score_map.shape, np.float32) if high <= low else ((score_map - low) / (high - low)).astype(np.float32)
    )
