"""Scorers of a run: each takes one image after the other, then gives its scores and the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.detection.coco import build_coco_ground_truth, compute_coco_scores
from wsl.evaluate.metrics import MetricSet, MetricSettings
from wsl.evaluate.metrics.case import BoxCase, LabelMapCase
from wsl.evaluate.metrics.label_map_metrics import BoundaryMiou, Miou, Precision
from wsl.evaluate.metrics.sweep_metrics import SweepMiou
from wsl.evaluate.result import Score, name_table
from wsl.evaluate.segmentation.baseline import centre_box_label_map
from wsl.export.coco import iterate_annotations
from wsl.export.record import ExportRecord
from wsl.pipeline.run_case import RunCase, to_map_case
from wsl.quality.regions import count_least_pixels
from wsl.types import BACKGROUND, IGNORE, ClassSet, Instance, LabelMap

HEADLINE_BOXES = ("BoxAccV2", "BoxAccV1@0.5")
HEADLINES = ("AP", "AP50", "AR@100")  # of COCO's twelve; the other nine come with `wsl evaluate PRED GT`


class Scorer(Protocol):
    """Takes images, gives scores. Sent between processes, so it must be picklable."""

    def update(self, case: RunCase, /) -> None:
        """Adds one image."""

    def merge(self, other: Any, /) -> None:
        """Adds the images of `other`, made with the same settings."""

    def scores(self) -> list[Score]:
        """The scores of all images added so far."""

    def tables(self) -> dict[str, ImageTable]:
        """Their per-image tables by name."""


class MaskScorer:
    """mIoU of the score maps, of a centre box, of the seeds and of the refined label maps.

    Of the last two also coverage and precision.
    """

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.sweep = SweepMiou(settings)
        policies = {"centre box": "error", "seeds": settings.predicted_ignore, "seeds, sure pixels": "exclude"}
        policies["refined"] = settings.predicted_ignore
        self.results = {name: Miou(replace(settings, predicted_ignore=each)) for name, each in policies.items()}
        self.precisions = {name: Precision(settings) for name in ("seeds", "refined")}
        self.boundary = BoundaryMiou(settings)

    def update(self, case: RunCase) -> None:
        """Adds one image that has a true label map."""
        if case.truth is None:
            return
        self.sweep.update(to_map_case(case, self.settings))
        maps = {"centre box": centre_box_like(case.seeds), "seeds": case.seeds, "refined": case.refined}
        cases = {name: LabelMapCase(case.sample.image_id, case.truth, each) for name, each in maps.items()}
        cases["seeds, sure pixels"] = cases["seeds"]  # the same pairs, counted once
        for name, result in self.results.items():
            result.update(cases[name])
        for name, precision in self.precisions.items():
            precision.update(cases[name])
        self.boundary.update(cases["refined"])

    def merge(self, other: MaskScorer) -> None:
        """Adds the images of `other`."""
        self.sweep.merge(other.sweep)
        self.boundary.merge(other.boundary)
        for name, result in self.results.items():
            result.merge(other.results[name])
        for name, precision in self.precisions.items():
            precision.merge(other.precisions[name])

    def scores(self) -> list[Score]:
        """Maps at each threshold, then one score per result, then coverage and precision of seeds and refined maps."""
        scores = [replace(score, name="CAM mIoU") for score in self.sweep.scores()]
        scores += [replace(each.scores()[0], name=f"{name} mIoU") for name, each in self.results.items()]
        scores += [replace(score, name="refined boundary mIoU") for score in self.boundary.scores()]
        for name, precision in self.precisions.items():
            found = [self.results[name].scores()[-1], *precision.scores()]
            scores += [replace(score, name=f"{name} {score.name}") for score in found]
        return scores

    def tables(self) -> dict[str, ImageTable]:
        """Of the maps and of every result."""
        tables: dict[str, ImageTable] = {}
        for score, table in zip(self.sweep.scores(), self.sweep.tables().values(), strict=True):
            tables[name_table(replace(score, name="CAM mIoU"), tables)] = table
        tables |= {f"{name} mIoU": each.tables()["mIoU"] for name, each in self.results.items()}
        for name, precision in self.precisions.items():
            tables |= {f"{name} {each}": table for each, table in precision.tables().items()}
        return tables | {f"refined {name}": table for name, table in self.boundary.tables().items()}


def centre_box_like(seeds: LabelMap) -> LabelMap:
    """A centred box with the seeds' foreground area and their largest class: what knowing nothing would give."""
    areas = np.bincount(seeds.ravel(), minlength=256)
    areas[[BACKGROUND, IGNORE]] = 0
    size = (seeds.shape[0], seeds.shape[1])
    return centre_box_label_map(size, int(areas.sum()), int(areas.argmax()) if areas.any() else BACKGROUND)


class MapBoxScorer:
    """MaxBoxAcc of the score maps; Top-1, Top-5 and GT-known where the classifier's ranking is stored."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.metrics = MetricSet(["max_box_acc"], settings)

    def update(self, case: RunCase) -> None:
        """Adds one image that is annotated, which is not the same as one without objects."""
        if case.sample.instances is not None:
            self.metrics.update(to_map_case(case, self.settings))

    def merge(self, other: MapBoxScorer) -> None:
        """Adds the images of `other`."""
        self.metrics.merge(other.metrics)

    def scores(self) -> list[Score]:
        """All at the best thresholds, the two headlines at the others; `wsl evaluate` on cams/ shows the rest."""
        scores = self.metrics.scores()
        return [score for score in scores if score.name in HEADLINE_BOXES or _is_oracle(score)]

    def tables(self) -> dict[str, ImageTable]:
        """See `BoxesOfMaps`."""
        return self.metrics.tables()


def _is_oracle(score: Score) -> bool:
    return (score.threshold or {}).get("provenance") == "oracle"


class BoxScorer:
    """CorLoc, accuracy, VOC AP and COCO AP of the boxes."""

    def __init__(self, settings: MetricSettings) -> None:
        self.metrics = MetricSet(["corloc", "box_accuracy", "voc_ap", "coco"], settings)

    def update(self, case: RunCase) -> None:
        """Adds one image that is annotated."""
        if case.sample.instances is not None:
            self.metrics.update(BoxCase(case.sample.image_id, case.boxes, case.sample.instances))

    def merge(self, other: BoxScorer) -> None:
        """Adds the images of `other`."""
        self.metrics.merge(other.metrics)

    def scores(self) -> list[Score]:
        """All but COCO's less common nine."""
        return [score for score in self.metrics.scores() if _is_headline(score)]

    def tables(self) -> dict[str, ImageTable]:
        """Of all but COCO's."""
        return self.metrics.tables()


def _is_headline(score: Score) -> bool:
    kind, _, name = score.name.partition(" ")
    return kind not in ("box", "mask") or name in HEADLINES


class InstanceScorer:
    """COCO AP of the refined masks' connected regions, those that are exported, where the truth has instance masks.

    min_area: of a region, pixels if 1 or more, else a fraction of the image. pycocotools needs all
    objects at once, so memory grows with their number (run lengths, not pixels).
    """

    def __init__(self, classes: ClassSet, min_area: float = 0.0) -> None:
        self.classes, self.min_area = classes, min_area
        self.truth: list[tuple[str, tuple[int, int], tuple[Instance, ...]]] = []
        self.masks: dict[str, list[dict[str, Any]]] = {}

    def update(self, case: RunCase) -> None:
        """Adds one image that is annotated."""
        if case.sample.instances is None:
            return
        image_id = case.sample.image_id
        self.truth.append((image_id, case.maps.size, case.sample.instances))
        if _has_masks(case.sample.instances):
            least = count_least_pixels(self.min_area, case.maps.size)
            record = ExportRecord(image_id, image_id, case.maps.size, case.refined, case.boxes, min_pixels=least)
            self.masks[image_id] = list(iterate_annotations(record))

    def merge(self, other: InstanceScorer) -> None:
        """Adds the images of `other`."""
        self.truth += other.truth
        self.masks |= other.masks

    def scores(self) -> list[Score]:
        """Three scores; none unless every object has a mask."""
        if not self.masks or not all(_has_masks(instances) for _, _, instances in self.truth):
            return []
        truth, numbers = build_coco_ground_truth(self.truth, self.classes)
        found = [{**mask, "image_id": numbers[each]} for each, masks in self.masks.items() for mask in masks]
        scores = [score for score in compute_coco_scores(truth, found, "segm") if _is_headline(score)]
        own = {"result": f"connected region of {_show_area(self.min_area)}, with the score of its class's nearest box"}
        return [replace(score, conventions=score.conventions | own) for score in scores]

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}


def _show_area(min_area: float) -> str:
    if not min_area:
        return "any size"
    return f"at least {min_area:g} pixels" if min_area >= 1 else f"at least {min_area:g} of the image"


def _has_masks(instances: Sequence[Instance]) -> bool:
    return all(instance.segmentation is not None for instance in instances)
