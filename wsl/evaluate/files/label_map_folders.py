"""Scores of a folder of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wsl.data.label_maps import read_label_map
from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.accumulate import accumulate
from wsl.evaluate.files.found_classes import find_classes
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, describe_classes
from wsl.evaluate.files.sources import TruthSet, open_truth, pair_files, read_truth, require_masks
from wsl.evaluate.metrics import MetricSet, MetricSettings, choose_metrics
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
        partial(_build, tuple(names), settings),
        _update,
        workers=options.workers,
        progress=shown,
        title="label maps",
    )
    _refuse_binary(sums, truth)
    found = Evaluation(sums.metrics.scores(), sums.metrics.tables(), describe_classes(classes))
    return found.with_counts(pairing.counts)


class _Sums:
    """The metrics, and whether any true pixel has a class."""

    def __init__(self, names: Sequence[str], settings: MetricSettings) -> None:
        self.metrics, self.num_classes = MetricSet(names, settings), len(settings.classes)
        self.true_values = np.zeros(256, np.int64)

    def merge(self, other: _Sums) -> None:
        self.metrics.merge(other.metrics)
        self.true_values += other.true_values


def _build(names: Sequence[str], settings: MetricSettings) -> _Sums:
    return _Sums(names, settings)


def _update(sums: _Sums, item: LabelMapItem) -> None:
    case = LabelMapCase(item.image_id, *item.read(sums.num_classes))
    sums.metrics.update(case)
    sums.true_values += case.pairs.sum(axis=1)


def _refuse_binary(sums: _Sums, truth: TruthSet) -> None:
    """0/255 masks read as label maps would score the background only: 255 means "do not score"."""
    if sums.true_values[255] and not sums.true_values[1:255].sum():
        raise DataError(
            f"{truth.name}: expected label maps (pixel values are class ids), but found only 0 and 255, which means "
            "'do not score'. 0/255 masks belong into masks/<class>/ of a folder data set; give that data set instead."
        )
