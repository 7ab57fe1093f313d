"""Probabilities of class groups, and the classes that are predicted from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.oracles.cam_maps import group_score
from wsl.cam.classes import compute_probabilities, group_logits, predict_classes

LOGITS = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 0.0, 0.0, 0.0]])
GROUPS = {4: (1, 3), 2: (0,), 9: (0, 1, 2, 3)}


def test_group_logit_is_the_log_sum_exp() -> None:
    found = group_logits(LOGITS, (1, 3))
    assert found.tolist() == pytest.approx([group_score(row.tolist(), (1, 3)) for row in LOGITS])
    assert group_logits(LOGITS, (2,)).tolist() == LOGITS[:, 2].tolist()


def test_single_label_probabilities_are_sums_of_the_softmax() -> None:
    found = compute_probabilities(LOGITS, GROUPS, "single")
    total = sum(math.exp(value) for value in LOGITS[0].tolist())
    expected = [(math.exp(-2) + math.exp(3)) / total, math.exp(1) / total, 1.0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected, [0.5, 0.25, 1.0]], rtol=1e-6)


def test_multi_label_probabilities_are_the_sigmoid_of_the_group() -> None:
    found = compute_probabilities(LOGITS, GROUPS, "multi")
    expected = [[1 / (1 + math.exp(-group_score(row, group))) for group in GROUPS.values()] for row in LOGITS.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_huge_logits_and_half_precision_stay_finite(mode: str) -> None:
    logits = torch.tensor([[60000.0, -60000.0, 0.0, 0.0]], dtype=torch.float16)
    found = compute_probabilities(logits, {1: (0,), 2: (1, 2)}, mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[1.0, 0.0 if mode == "single" else 0.5]], atol=1e-6)


def test_without_groups_there_are_no_columns() -> None:
    assert compute_probabilities(LOGITS, {}, "multi").shape == (2, 0)


def test_predicted_classes_are_sorted_and_the_threshold_counts() -> None:
    probabilities = np.array([0.5, 0.25, 0.75], np.float32)
    assert predict_classes(probabilities, GROUPS, 0.5) == (4, 9)
    assert predict_classes(probabilities, GROUPS, 0.1) == (2, 4, 9)
    assert predict_classes(probabilities, GROUPS, 0.8) == ()
