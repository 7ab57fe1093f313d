"""Scores of a folder of label maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wsl.data.label_maps import read_label_map
from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.accumulate import accumulate
from wsl.evaluate.files.found_classes import find_classes
from wsl.evaluate.files.metric_sums import MetricSums, refuse_binary
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, describe_classes
from wsl.evaluate.files.sources import open_truth, pair_files, read_truth, require_masks
from wsl.evaluate.metrics import choose_metrics
from wsl.evaluate.metrics.case import LabelMapCase
from wsl.progress import Progress, Silent
from wsl.types import LabelMap, Sample


@dataclass(frozen=True)
class LabelMapItem:
    """One image on disk; `prediction` None = all background."""

    image_id: str
    truth: Path | Sample
    prediction: Path | None

    def read(self, num_classes: int) -> tuple[LabelMap, LabelMap]:
        """(truth, prediction), both uint8 (H, W)."""
        truth = read_truth(self.truth, num_classes)
        if truth is None:
            raise DataError(f"{self.image_id}: no ground-truth mask.")
        return truth, np.zeros_like(truth) if self.prediction is None else read_label_map(self.prediction)


def evaluate_label_maps(
    prediction: Path,
    ground_truth: Path | Dataset,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Evaluation:
    """Scores of the label-map PNGs below `prediction`, named by image id, values 0..N and 255.

    `ground_truth`: a folder of the same kind, or a data set with masks. Without class names the classes are "class 1"..
    up to the largest id in any map, for which all maps are read once more. DataError: predictions are missing, sizes
    differ, values are outside 0..N.
    """
    truth = require_masks(open_truth(ground_truth, options.classes))
    pairing = pair_files(prediction, truth.image_ids, (".png",), options.missing)
    items = [LabelMapItem(image_id, truth.sources[image_id], path) for image_id, path in pairing.pairs]
    shown = progress or Silent()
    classes = truth.classes or find_classes(truth, options.workers, shown, dict(pairing.pairs))
    settings = options.settings(classes)
    names = choose_metrics("label_maps", options.metrics, settings)
    sums = accumulate(
        items,
        partial(MetricSums, tuple(names), settings),
        _update,
        workers=options.workers,
        progress=shown,
        title="label maps",
    )
    refuse_binary(sums.true_values, f"{truth.name}: the ground truth")
    refuse_binary(sums.predicted_values, f"{prediction}: the predictions")
    found = Evaluation(sums.metrics.scores(), sums.metrics.tables(), describe_classes(classes))
    return found.with_counts(pairing.counts)


def _update(sums: MetricSums, item: LabelMapItem) -> None:
    case = LabelMapCase(item.image_id, *item.read(sums.num_classes))
    sums.metrics.update(case)
    sums.true_values += case.pairs.sum(axis=1)
    sums.predicted_values += case.pairs.sum(axis=0)
