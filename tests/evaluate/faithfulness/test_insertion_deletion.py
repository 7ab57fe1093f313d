"""Insertion and deletion against a loop that changes one pixel after the other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_faithfulness import curve_area
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.insertion_deletion import (
    blur_image,
    compute_area,
    make_deletions,
    make_insertions,
    replace_by_rank,
)
from wsl.evaluate.faithfulness.maps import rank_pixels

GENERATOR = np.random.default_rng(1)
IMAGE = GENERATOR.integers(0, 256, (9, 11, 3)).astype(np.uint8)
MAP = (GENERATOR.integers(0, 6, (9, 11)) / 5).astype(np.float32)
WEIGHTS = GENERATOR.random((9, 11, 3))


def predict(images: np.ndarray) -> np.ndarray:
    """A score that is not linear in the image."""
    return np.tanh((images * WEIGHTS).sum((1, 2, 3)) / 30000) ** 2


@pytest.mark.parametrize("steps", [1, 4, 7, 99, 250])
def test_areas_equal_the_oracle(steps: int) -> None:
    order = rank_pixels(MAP)
    colour = (7.0, 8.0, 9.0)
    painted = np.broadcast_to(np.array(colour), IMAGE.shape)
    deletion = compute_area(predict(make_deletions(IMAGE, order, steps, colour)))
    insertion = compute_area(predict(make_insertions(IMAGE, order, steps)))
    assert deletion == pytest.approx(curve_area(predict, IMAGE, painted, MAP, steps), rel=1e-6)
    blurred = blur_image(IMAGE.astype(np.float32))
    assert insertion == pytest.approx(curve_area(predict, blurred, IMAGE, MAP, steps), rel=1e-6)


def test_first_and_last_image_are_the_two_ends() -> None:
    order = rank_pixels(MAP)
    deletions, insertions = make_deletions(IMAGE, order, 5, (1.0, 2.0, 3.0)), make_insertions(IMAGE, order, 5)
    assert deletions.shape == insertions.shape == (6, 9, 11, 3)
    np.testing.assert_array_equal(deletions[0], IMAGE)
    assert (deletions[-1] == np.array([1, 2, 3])).all()
    np.testing.assert_array_equal(insertions[-1], IMAGE)
    np.testing.assert_array_equal(insertions[0], blur_image(IMAGE.astype(np.float32)))


def test_blur_is_a_normalised_gaussian() -> None:
    image = np.zeros((31, 31, 3), np.float32)
    image[15, 15] = 1
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 5.0**2))
    weights /= weights.sum()
    np.testing.assert_allclose(blur_image(image)[10:21, 10:21, 0], np.outer(weights, weights), atol=1e-6)


def test_area_of_a_line_is_its_mean() -> None:
    assert compute_area(np.array([1.0, 0.5, 0.0])) == 0.5
    assert compute_area(np.array([1.0, 0.0, 0.0])) == 0.25


def test_bad_input_is_refused() -> None:
    order = rank_pixels(MAP)
    with pytest.raises(ConfigError, match="steps: expected at least 1, but got 0"):
        make_deletions(IMAGE, order, 0)
    with pytest.raises(DataError, match="expected 99 pixels, but got 98"):
        replace_by_rank(IMAGE.astype(np.float32), IMAGE.astype(np.float32), order[1:], 2)
    with pytest.raises(DataError, match="at least 2 finite"):
        compute_area(np.array([1.0, np.nan]))
