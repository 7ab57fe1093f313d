"""Metrics of score maps that are cut into label maps, at all thresholds from one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from wsl.errors import DataError
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.sweep_table import SweepTable
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.metrics.case import ScoreMapCase
from wsl.evaluate.metrics.map_thresholds import add_evidence, asks_oracle, list_thresholds, make_label_free
from wsl.evaluate.metrics.metric import MetricSettings, register_metric
from wsl.evaluate.result import Score, name_table
from wsl.evaluate.segmentation.seed_surface import compute_seed_surface, seed_surface_score
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.evaluate.thresholds import GivenThreshold, add_gap

ROUNDING = 1e-4  # what interpolation may add


@register_metric("miou_sweep", "score_maps", needs=("masks",), is_default=True)
class SweepMiou:
    """mIoU of the maps cut at every threshold of the background rule."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.sweep = BackgroundSweep(len(settings.classes), settings.sweep_values(), settings.rule, keep_images=True)
        self.label_free = make_label_free(settings, self.sweep.thresholds)

    def update(self, case: ScoreMapCase) -> None:
        """Adds one image that has a true label map."""
        if case.truth is None:
            return
        check_unit_range(case)
        self.sweep.update(case.scores, case.class_ids, case.truth, case.image_id)
        add_evidence(self.label_free, case, case.scores, case.views)

    def merge(self, other: SweepMiou) -> None:
        """Adds the images of `other`."""
        self.sweep.merge(other.sweep)
        if self.label_free is not None and other.label_free is not None:
            self.label_free.merge(other.label_free)

    def thresholds(self) -> list[GivenThreshold]:
        """Given ones and those that a label-free rule chose on these images."""
        return list_thresholds("miou", self.settings, self.label_free)

    def scores(self) -> list[Score]:
        """mIoU at the best threshold if it is asked for, then at each of the others with its gap to the best."""
        settings = self.settings
        policies = (settings.classes, settings.absent, settings.background)
        best = self.sweep.best(*policies)
        scores = [best] if asks_oracle(settings) else []
        for given in self.thresholds():
            score = self.sweep.at(given.value, given.provenance, *policies)
            scores.append(add_gap(score, given, best.value))
        return scores

    def choices(self) -> dict[str, float]:
        """The threshold that is best here, for use on other images."""
        best = self.sweep.best(self.settings.classes, self.settings.absent, self.settings.background)
        return {"miou": best.threshold["value"]} if best.threshold and best.value is not None else {}

    def tables(self) -> dict[str, ImageTable]:
        """All thresholds of every image at the oracle; one threshold at the others."""
        curves, settings = self.sweep.image_curves(), self.settings
        shared: dict[str, Any] = {
            "image_ids": curves.image_ids,
            "row_image": curves.row_image,
            "row_class": curves.row_class,
            "true": curves.true,
            "num_classes": len(settings.classes),
            "absent": settings.absent,
            "background": settings.background,
        }
        tables: dict[str, ImageTable] = {}
        for score in self.scores():
            threshold = score.threshold or {}
            if threshold["provenance"] == "oracle":
                limits = np.asarray(curves.thresholds)
                table: ImageTable = SweepTable(
                    **shared, predicted=curves.predicted, hit=curves.hit, thresholds=limits, threshold="oracle"
                )
            else:
                column = self.sweep.thresholds.index(threshold["value"])
                table = SegmentationTable(**shared, predicted=curves.predicted[:, column], hit=curves.hit[:, column])
            tables[name_table(score, tables)] = table
        return tables


@register_metric("seed_surface", "score_maps", needs=("masks",))
class SeedPairs:
    """Seeds of every pair of thresholds: precision, coverage, mIoU."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        self.sweep = BackgroundSweep(len(settings.classes), settings.sweep_values(), settings.rule)

    def update(self, case: ScoreMapCase) -> None:
        """Adds one image that has a true label map."""
        if case.truth is not None:
            check_unit_range(case)
            self.sweep.update(case.scores, case.class_ids, case.truth, case.image_id)

    def merge(self, other: SeedPairs) -> None:
        """Adds the images of `other`."""
        self.sweep.merge(other.sweep)

    def scores(self) -> list[Score]:
        """The best pair by mIoU of the decided pixels, at least half of all, and by mIoU with 255 as background."""
        surface = compute_seed_surface(self.sweep, self.settings.absent, self.settings.background)
        decided = seed_surface_score(surface, "miou_excluded", smallest_coverage=0.5)
        return [decided, seed_surface_score(surface, "miou_as_background")]

    def choices(self) -> dict[str, float]:
        """None: a pair is no single threshold."""
        return {}

    def tables(self) -> dict[str, ImageTable]:
        """None."""
        return {}


def check_unit_range(case: ScoreMapCase) -> None:
    """Raises DataError for scores outside [0, 1], which thresholds in [0, 1] would cut anywhere."""
    low, high = float(case.scores.min(initial=0)), float(case.scores.max(initial=0))
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise DataError(
            f"{case.image_id}: expected scores in [0, 1], but got {low:g}..{high:g}; normalise the maps first."
        )
