from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.unary import compute_label_unary, compute_logit_unary, compute_score_unary


@pytest.mark.parametrize("unknown", [-1, 255])
def test_label_unary_by_hand(unknown: int) -> None:
    unary = compute_label_unary(np.array([[0, 2, unknown]]), 3, 0.7)
    wanted = -np.log([[0.7, 0.15, 1 / 3], [0.15, 0.15, 1 / 3], [0.15, 0.7, 1 / 3]])
    np.testing.assert_allclose(unary[:, 0], wanted, rtol=1e-6)
    assert unary.dtype == np.float32


def test_one_label_costs_nothing() -> None:
    np.testing.assert_array_equal(compute_label_unary(np.array([[0, -1]]), 1, 0.7), np.zeros((1, 1, 2)))


def test_label_255_is_a_label_where_there_are_so_many() -> None:
    unary = compute_label_unary(np.array([[255]]), 256, 0.7)
    assert unary.argmin() == 255


def test_labels_against_pydensecrf() -> None:
    utils = pytest.importorskip("pydensecrf.utils")
    labels = np.random.default_rng(0).integers(0, 4, (5, 7))
    theirs = utils.unary_from_labels(labels, 4, 0.7, zero_unsure=False).reshape(4, 5, 7)
    np.testing.assert_allclose(compute_label_unary(labels, 4, 0.7), theirs, rtol=1e-6)
    unsure = utils.unary_from_labels(labels, 3, 0.7, zero_unsure=True).reshape(3, 5, 7)  # 0 = unknown, 1.. = labels
    np.testing.assert_allclose(compute_label_unary(labels - 1, 3, 0.7), unsure, rtol=1e-6)
    with pytest.raises(ZeroDivisionError):
        utils.unary_from_labels(np.zeros((2, 2), int), 1, 0.7, zero_unsure=False)


def test_score_unary_is_clipped_and_not_renormalised() -> None:
    unary = compute_score_unary(np.array([[[0.0]], [[0.5]], [[1.0]], [[2.0]]], np.float64))
    np.testing.assert_allclose(unary.ravel(), [-np.log(1e-5), -np.log(0.5), 0, 0], rtol=1e-6, atol=1e-7)
    assert unary.dtype == np.float32


def test_scores_against_pydensecrf() -> None:
    utils = pytest.importorskip("pydensecrf.utils")
    scores = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    scores[0, 0, 0] = 0
    theirs = utils.unary_from_softmax(scores).reshape(scores.shape)
    np.testing.assert_allclose(compute_score_unary(scores), theirs, rtol=1e-6)


def test_logit_unary_by_hand_and_for_large_logits() -> None:
    logits = np.log(np.array([[[1.0]], [[3.0]]]))
    np.testing.assert_allclose(compute_logit_unary(logits).ravel(), -np.log([0.25, 0.75]), rtol=1e-6)
    np.testing.assert_allclose(compute_logit_unary(np.array([[[1e4]], [[0.0]]])).ravel(), [0, 1e4])


@pytest.mark.parametrize("gt_prob", [0.0, 1.0, float("nan")])
def test_bad_gt_prob(gt_prob: float) -> None:
    with pytest.raises(ConfigError, match="gt_prob"):
        compute_label_unary(np.zeros((2, 2), int), 2, gt_prob)


@pytest.mark.parametrize(
    ("index", "labels", "message"),
    [
        (np.array([[3]]), 3, "expected 0..2, or -1 or 255 for unknown, but found 3"),
        (np.array([[-2]]), 3, "found -2"),
        (np.array([[0.0]]), 3, "expected whole numbers"),
        (np.array([0]), 3, "expected whole numbers"),
        (np.array([[0]]), 0, "at least one label"),
    ],
)
def test_bad_labels(index: np.ndarray, labels: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compute_label_unary(index, labels, 0.7)
