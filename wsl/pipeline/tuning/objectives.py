"""What a trial is judged by: a score against the truth of a split, or a label-free objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np

from wsl.config import Config
from wsl.errors import ConfigError, suggest
from wsl.evaluate.metrics import METRICS, MetricSettings
from wsl.evaluate.metrics.case import BoxCase, LabelMapCase
from wsl.evaluate.segmentation.confusion import compute_iou
from wsl.evaluate.segmentation.scores import average_classes
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.localize.boxes import boxes_of
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.tuning.images import TuningImage
from wsl.quality.label_free_objectives import (
    DEFAULT_OBJECTIVE,
    LABEL_FREE_OBJECTIVES,
    UnlabelledCase,
    rate_labels,
)

WITHOUT_VIEWS = "edge_alignment"  # for maps of one scale
LABEL_MAP_METRICS = {"miou": "miou", "boundary_miou": "boundary_miou", "image_miou": "image_miou"}
LABEL_MAP_METRICS |= {"boundary_f": "boundary_f"}
# BoxAcc of any box at the trial's threshold: its maximum over thresholds is what the search looks for
BOX_METRICS = {"voc_ap": "VOC AP@0.5", "max_box_acc": "BoxAcc any", "corloc": "CorLoc"}
BOX_CLASSES = {"voc_ap": "voc_ap", "max_box_acc": "box_accuracy", "corloc": "corloc"}


class Objective(Protocol):
    """Larger = better. `needs` holds "masks", "boxes" (truth) and "views" (maps of two scales or more)."""

    name: str
    needs: tuple[str, ...]

    def measure(self, config: Config, images: Iterable[TuningImage]) -> float | None:
        """The objective of a configuration on the images; None where it is undefined."""


@dataclass(frozen=True)
class LabelFreeGoal:
    """Mean over images with classes of a label-free objective; `threshold` cuts unrefined maps."""

    name: str
    needs: tuple[str, ...]
    threshold: float = 0.0

    def measure(self, config: Config, images: Iterable[TuningImage]) -> float | None:
        """See `wsl.quality.label_free_objectives`."""
        make, rated = build_label_maker(config), []
        for each in images:
            ids = each.maps.class_ids
            case = UnlabelledCase(each.image, each.maps.scores, each.views, ids, self.threshold)
            bands = make.read_bands(each.sample.image_path)
            rated += rate_labels([self.name], case, make.for_image(each.image, ids, bands)).values()
        return fmean(rated) if rated else None


@dataclass(frozen=True)
class LabelMapGoal:
    """A score of label maps against true ones."""

    name: str
    settings: MetricSettings
    needs: tuple[str, ...] = ("masks",)

    def measure(self, config: Config, images: Iterable[TuningImage]) -> float | None:
        """The first score of the metric."""
        make = build_label_maker(config)
        metric = METRICS.get(LABEL_MAP_METRICS[self.name]).build(self.settings)
        for each in images:
            if each.truth is not None:
                bands = make.read_bands(each.sample.image_path)
                labels = make(each.image, each.maps.scores, each.maps.class_ids, bands=bands)
                metric.update(LabelMapCase(each.sample.image_id, each.truth, labels))
        return metric.scores()[0].value


@dataclass(frozen=True)
class BoxGoal:
    """A score of boxes against true ones."""

    name: str
    settings: MetricSettings
    needs: tuple[str, ...] = ("boxes",)

    def measure(self, config: Config, images: Iterable[TuningImage]) -> float | None:
        """The headline of the metric."""
        own, metric = config.boxes, METRICS.get(BOX_CLASSES[self.name]).build(self.settings)
        for each in images:
            if each.sample.instances is not None:
                boxes = boxes_of(
                    each.maps, rule=own.rule, threshold=own.threshold, select=own.select, min_area=own.min_area
                )
                metric.update(BoxCase(each.sample.image_id, tuple(boxes), each.sample.instances))
        return {score.name: score.value for score in metric.scores()}[BOX_METRICS[self.name]]


def list_objectives() -> list[str]:
    """Names of all objectives, those with truth first."""
    return [*LABEL_MAP_METRICS, *BOX_METRICS, *LABEL_FREE_OBJECTIVES.in_order()]


def is_label_free(name: str) -> bool:
    """Whether an objective looks at no truth; ConfigError for an unknown one."""
    if name not in list_objectives():
        raise ConfigError(f"--objective: unknown objective '{name}'.{suggest(name, list_objectives())}")
    return name in LABEL_FREE_OBJECTIVES.names()


def choose_default(scales: int) -> str:
    """The label-free objective when none is named; `scales`: of the maps."""
    return DEFAULT_OBJECTIVE if scales > 1 else WITHOUT_VIEWS


def build_objective(name: str, settings: MetricSettings) -> Objective:
    """The objective of that name; ConfigError for an unknown one, or without the truth that it needs."""
    if is_label_free(name):
        return LabelFreeGoal(name, ("views",) if LABEL_FREE_OBJECTIVES.get(name).needs_views else ())
    goal: Objective = LabelMapGoal(name, settings) if name in LABEL_MAP_METRICS else BoxGoal(name, settings)
    has = {"masks": settings.has_masks, "boxes": settings.has_boxes}
    lacking = [need for need in goal.needs if not has[need]]
    if lacking:
        raise ConfigError(f"--objective {name} needs {lacking[0]}, but the data set has none: tune label-free.")
    return goal


def sweep_backgrounds(
    goal: LabelMapGoal, rule: str, values: Sequence[float], images: Iterable[TuningImage]
) -> list[float | None]:
    """mIoU of unrefined maps at each background value, exactly, from one pass over the images; in their order."""
    sweep = BackgroundSweep(len(goal.settings.classes), np.unique(values), rule)
    for each in images:
        if each.truth is not None:
            sweep.update(each.maps.scores, each.maps.class_ids, each.truth, each.sample.image_id)
    settings = goal.settings
    curve = [average_classes(compute_iou(one, settings.absent), settings.background) for one in sweep.confusions()]
    return [curve[int(np.searchsorted(sweep.thresholds, value))] for value in values]
