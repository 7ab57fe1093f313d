from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.train_metrics import average_precision, class_accuracies
from wsl.train.metrics import (
    compute_accuracy,
    compute_average_precision,
    compute_class_accuracy,
    compute_mean_average_precision,
)

RANKED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(RANKED)
def test_average_precision_against_its_definition(ranked: list[tuple[int, bool]]) -> None:
    scores, positive = [float(score) for score, _ in ranked], [is_positive for _, is_positive in ranked]
    found = compute_average_precision(np.array(scores), np.array(positive))
    if any(positive):
        assert found == pytest.approx(average_precision(scores, positive))
    else:
        assert math.isnan(found)


def test_average_precision_by_hand() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert compute_average_precision(scores, positive) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert compute_average_precision(np.zeros(4), positive) == pytest.approx(0.5)  # all equal: the base rate


def test_mean_leaves_out_classes_without_images() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5]])
    mean, each = compute_mean_average_precision(scores, np.array([[True, False, False], [False, False, False]]))
    assert mean == 1.0
    assert each[0] == 1.0
    assert np.isnan(each[1:]).all()
    assert math.isnan(compute_mean_average_precision(scores, np.zeros((2, 3), bool))[0])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=3, max_size=3), st.integers(0, 2)), min_size=1, max_size=12)
)
def test_accuracies_against_counting(images: list[tuple[list[int], int]]) -> None:
    scores, targets = np.array([row for row, _ in images], float), np.array([target for _, target in images])
    expected = class_accuracies(scores.tolist(), targets.tolist(), 3)
    found = compute_class_accuracy(scores, targets)
    assert [None if math.isnan(value) else value for value in found] == pytest.approx(expected)
    right = sum(row.index(max(row)) == target for row, target in images)
    assert compute_accuracy(scores, targets) == pytest.approx(right / len(images))


def test_accuracy_of_no_images_is_undefined() -> None:
    assert math.isnan(compute_accuracy(np.zeros((0, 3)), np.zeros(0, int)))
