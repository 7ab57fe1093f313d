"""Metrics of score maps pixel by pixel, class by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.metrics.case import ScoreMapCase
from wsl.evaluate.metrics.map_tables import tabulate_pixels
from wsl.evaluate.metrics.map_thresholds import list_thresholds
from wsl.evaluate.metrics.metric import MetricSettings, register_metric
from wsl.evaluate.result import Score
from wsl.evaluate.thresholds import add_gap
from wsl.types import IGNORE

STEP_ROUNDING = 1e-6  # 0.3 / 0.001 is 299.99999999999994


@register_metric("pixel_ap", "score_maps", needs=("masks",), is_default=True)
class PixelsOfMaps:
    """PxAP and pIoU of the maps of the classes that are in the image."""

    def __init__(self, settings: MetricSettings) -> None:
        self.settings = settings
        protocol = settings.protocol if settings.protocol != "half_open" else "original"
        self.sums = PixelAp(protocol, keep_histograms=True)

    def update(self, case: ScoreMapCase) -> None:
        """Adds every class of the true label map; 255 is not scored, and a class without a map is a constant one."""
        if case.truth is None:
            return
        ignore = case.truth == IGNORE
        rows = {class_id: row for row, class_id in enumerate(case.class_ids)}
        for class_id in np.unique(case.truth[(case.truth > 0) & ~ignore]).tolist():
            found = case.scores[rows[class_id]] if class_id in rows else np.zeros(case.size, np.float32)
            self.sums.update(found, case.truth == class_id, ignore, class_id, case.image_id, case.size)

    def merge(self, other: PixelsOfMaps) -> None:
        """Adds the images of `other`."""
        self.sums.merge(other.sums)

    def scores(self) -> list[Score]:
        """PxAP, pIoU at its best threshold, and precision, recall and IoU at each threshold that is given."""
        classes = self.settings.classes
        scores = self.sums.scores(classes)
        best = scores[1].value
        for given in list_thresholds("pixel_ap", self.settings, None):
            # the histogram has steps: a value between two of them stands for the lower one
            step = np.floor(given.value / self.sums.interval + STEP_ROUNDING) * self.sums.interval
            found = self.sums.at(float(step), given.provenance, classes)
            scores += [*found[:2], add_gap(found[2], replace(given, value=float(step)), best)]
        return scores

    def choices(self) -> dict[str, float]:
        """The threshold with the best pIoU here."""
        best = self.sums.scores(self.settings.classes)[1]
        return {"pixel_ap": best.threshold["value"]} if best.threshold and best.value is not None else {}

    def tables(self) -> dict[str, ImageTable]:
        """The histograms of every pair."""
        return tabulate_pixels(self.sums, self.sums.scores())
