"""Metrics over files, with what tells masks of 0 and 255 from label maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsl.errors import DataError
from wsl.evaluate.metrics import MetricSet, MetricSettings
from wsl.evaluate.segmentation.confusion import Counts
from wsl.types import IGNORE, LabelMap


class MetricSums:
    """The metrics, and how often each value occurs in the true and in the predicted label maps, int64 (256,)."""

    def __init__(self, names: Sequence[str], settings: MetricSettings) -> None:
        self.metrics, self.num_classes = MetricSet(names, settings), len(settings.classes)
        self.true_values, self.predicted_values = np.zeros(256, np.int64), np.zeros(256, np.int64)

    def merge(self, other: MetricSums) -> None:
        """Adds the images of `other`."""
        self.metrics.merge(other.metrics)
        self.true_values += other.true_values
        self.predicted_values += other.predicted_values


def count_values(label_map: LabelMap) -> Counts:
    """int64 (256,)."""
    return np.bincount(label_map.ravel(), minlength=IGNORE + 1).astype(np.int64)


def refuse_binary(values: Counts, what: str) -> None:
    """Raises DataError for 0/255 masks: as label maps they would be background only, for 255 means "not sure"."""
    if values[IGNORE] and not values[1:IGNORE].sum():
        raise DataError(
            f"{what}: expected label maps (pixel values are class ids), but found only 0 and 255, which means 'do not "
            "score'. 0/255 masks belong into masks/<class>/ of a folder data set, or write the class id instead of 255."
        )
