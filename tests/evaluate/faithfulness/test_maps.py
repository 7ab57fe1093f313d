"""Pairs of image and map, and the order of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_faithfulness import list_ranked
from wsl.errors import DataError
from wsl.evaluate.faithfulness.maps import check_map, check_pair, choose_counts, rank_pixels


def test_order_is_by_score_then_in_reading_order() -> None:
    score_map = np.array([[0.5, 1.0, 0.5], [0.0, 1.0, 0.0]], np.float32)
    assert rank_pixels(score_map).tolist() == [1, 4, 0, 2, 3, 5]


def test_order_equals_oracle_with_many_ties() -> None:
    score_map = np.random.default_rng(0).integers(0, 4, (9, 7)).astype(np.float32) / 4
    expected = [y * 7 + x for y, x in list_ranked(score_map)]
    assert rank_pixels(score_map).tolist() == expected


def test_counts_are_rounded_and_end_with_all_pixels() -> None:
    assert choose_counts(10, np.array([0.0, 0.25, 0.34, 1.0])).tolist() == [0, 2, 3, 10]


@pytest.mark.parametrize(
    ("score_map", "words"),
    [
        (np.zeros((2, 2), np.uint8), "expected floating"),
        (np.zeros((1, 2, 2), np.float32), "expected floating"),
        (np.full((2, 2), np.nan, np.float32), "4 are NaN"),
        (np.full((2, 2), 1.5, np.float32), "normalise the map first"),
        (np.full((2, 2), -0.5, np.float32), "normalise the map first"),
    ],
)
def test_bad_maps_are_refused(score_map: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_map(score_map)


def test_sizes_must_be_equal() -> None:
    with pytest.raises(DataError, match="score map is 2x3 but image is 3x2"):
        check_pair(np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3), np.float32))
