"""Average drop, increase in confidence, complexity against hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.evaluate.faithfulness.confidence import compute_complexity, compute_drop, compute_increase, mask_image


def test_masked_image_is_the_product_with_the_map() -> None:
    image = np.array([[[100, 200, 50], [10, 20, 30]]], np.uint8)
    masked = mask_image(image, np.array([[0.5, 0.0]], np.float32))
    assert masked.dtype == np.float32
    assert masked.tolist() == [[[[50, 100, 25], [0, 0, 0]]]]


def test_colour_shows_where_the_map_is_zero() -> None:
    image = np.array([[[100, 200, 50], [10, 20, 30]]], np.uint8)
    masked = mask_image(image, np.array([[0.5, 0.0]], np.float32), colour=(10, 20, 30))
    assert masked.tolist() == [[[[55, 110, 40], [10, 20, 30]]]]


@pytest.mark.parametrize(
    ("before", "after", "drop", "increase"),
    [(0.8, 0.6, 0.25, 0.0), (0.8, 0.8, 0.0, 0.0), (0.5, 0.75, 0.0, 1.0), (0.8, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0)],
)
def test_drop_and_increase(before: float, after: float, drop: float, increase: float) -> None:
    assert compute_drop(before, after) == pytest.approx(drop)
    assert compute_increase(before, after) == increase


def test_complexity_is_the_mean_of_the_map() -> None:
    assert compute_complexity(np.array([[1.0, 0.5], [0.0, 0.0]], np.float32)) == 0.375


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_score_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(DataError, match="probability"):
        compute_drop(value, 0.5)
    with pytest.raises(DataError, match="probability"):
        compute_increase(0.5, value)
