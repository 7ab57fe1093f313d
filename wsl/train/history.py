"""The record of each epoch, and which epoch is the best."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.train.metrics import compute_accuracy, compute_class_accuracy, compute_mean_average_precision
from wsl.types import ClassSet

MAIN_METRIC = {"single": "accuracy", "multi": "mean_average_precision"}
Record = dict[str, Any]


def score_epoch(
    logits: NDArray[np.float32], targets: NDArray[np.float32], loss: float, label_mode: str, classes: ClassSet
) -> Record:
    """{"metrics": ..., "classes": ...} of the validation: logits and targets are (B, O), B > 0.

    "classes" holds the accuracy ("single") or the average precision ("multi") by name; None where undefined.
    """
    if label_mode == "single":
        labels = targets.argmax(1)
        each = compute_class_accuracy(logits, labels)
        metrics = {"accuracy": compute_accuracy(logits, labels), "mean_class_accuracy": float(np.nanmean(each))}
    else:
        mean, each = compute_mean_average_precision(logits, targets > 0)
        metrics = {MAIN_METRIC[label_mode]: mean}
    names = [*classes.names, classes.background_name][: logits.shape[1]]
    return {
        "metrics": {name: _finite(value) for name, value in (metrics | {"loss": loss}).items()},
        "classes": {name: _finite(float(value)) for name, value in zip(names, each, strict=True)},
    }


def find_best(history: Sequence[Record], label_mode: str) -> int:
    """Index of the best epoch: highest main metric, then lowest loss, then the first; the last without metrics."""
    return max(range(len(history)), key=lambda index: (*_rank(history[index], label_mode), -index))


def list_metrics(record: Record) -> dict[str, float | None]:
    """Training loss and validation metrics of an epoch, by name."""
    return dict(sorted({"train_loss": record["loss"], **record.get("metrics", {})}.items()))


def format_history(history: Sequence[Record]) -> bytes:
    """One line of JSON per epoch."""
    return "".join(json.dumps(record, sort_keys=True, allow_nan=False) + "\n" for record in history).encode()


def _rank(record: Record, label_mode: str) -> tuple[float, float]:
    metrics = record.get("metrics")
    if metrics is None:
        return float(record["epoch"]), 0.0
    main, loss = metrics[MAIN_METRIC[label_mode]], metrics["loss"]
    return (-1.0 if main is None else main), (-math.inf if loss is None else -loss)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
