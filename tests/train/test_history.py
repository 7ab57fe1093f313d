from __future__ import annotations

from typing import Any

import numpy as np

from wsl.train.history import find_best, format_history, list_metrics, score_epoch
from wsl.types import ClassSet


def record(epoch: int, accuracy: float | None, loss: float | None) -> dict[str, Any]:
    return {"epoch": epoch, "loss": 1.0, "metrics": {"accuracy": accuracy, "loss": loss}}


def test_best_is_the_highest_metric_then_the_lowest_loss_then_the_first() -> None:
    assert find_best([record(1, 0.5, 0.1), record(2, 0.9, 0.4), record(3, 0.8, 0.0)], "single") == 1
    assert find_best([record(1, 0.9, 0.4), record(2, 0.9, 0.3), record(3, 0.9, 0.3)], "single") == 1
    assert find_best([record(1, None, None), record(2, 0.0, 5.0)], "single") == 1
    assert find_best([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.9}], "single") == 1


def test_scores_of_an_epoch() -> None:
    logits, targets = np.array([[2, 1], [0, 3]], np.float32), np.array([[1, 0], [1, 0]], np.float32)
    found = score_epoch(logits, targets, float("inf"), "single", ClassSet(("a", "b")))
    assert found["metrics"] == {"accuracy": 0.5, "mean_class_accuracy": 0.5, "loss": None}
    assert found["classes"] == {"a": 0.5, "b": None}
    found = score_epoch(logits, targets, 0.5, "multi", ClassSet(("a", "b")))
    assert found["metrics"] == {"mean_average_precision": 1.0, "loss": 0.5}
    assert found["classes"] == {"a": 1.0, "b": None}


def test_a_line_for_each_epoch_and_metrics_by_name() -> None:
    assert format_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]) == (
        b'{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.25}\n'
    )
    assert list(list_metrics(record(1, 0.5, 0.1)).items()) == [("accuracy", 0.5), ("loss", 0.1), ("train_loss", 1.0)]
