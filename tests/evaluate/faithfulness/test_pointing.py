"""Pointing game and energy pointing game against loops over all pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_faithfulness import energy_inside, points_at
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.pointing import compute_energy, compute_hit, draw_boxes
from wsl.types import Box


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 3, 15])
def test_hits_and_energy_equal_the_oracle(tolerance: float) -> None:
    hits = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        score_map = (generator.integers(0, 30, (8, 13)) / 30).astype(np.float32)
        inside = generator.random((8, 13)) < 0.1
        inside[3, 4] = True
        hits.append(compute_hit(score_map, inside, tolerance=tolerance))
        assert hits[-1] == pytest.approx(points_at(score_map, inside, tolerance))
        assert compute_energy(score_map, inside) == pytest.approx(energy_inside(score_map, inside))
    assert len(set(hits)) > 1 or tolerance == 15


def test_several_maxima_count_as_choosing_one_by_chance() -> None:
    score_map = np.array([[1, 0, 0, 1]], np.float32)
    inside = np.array([[True, False, False, False]])
    assert compute_hit(score_map, inside, tolerance=0) == 0.5


def test_ignored_pixels_are_not_looked_at() -> None:
    score_map = np.array([[0.25, 0.5, 1.0]], np.float32)
    inside, ignore = np.array([[False, True, False]]), np.array([[False, False, True]])
    assert compute_hit(score_map, inside, tolerance=0) == 0
    assert compute_hit(score_map, inside, ignore, tolerance=0) == 1
    assert compute_energy(score_map, inside, ignore) == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_constant_map_points_nowhere(value: float) -> None:
    inside = np.array([[True, False], [False, False]])
    assert compute_hit(np.full((2, 2), value, np.float32), inside) == 0
    assert compute_energy(np.zeros((2, 2), np.float32), inside) == 0


def test_rows_are_y_and_columns_are_x() -> None:
    mask = draw_boxes([Box((2, 0, 5, 1), 1), Box((-3, 2.5, 0.5, 9), 1)], (4, 6))
    expected = np.zeros((4, 6), bool)
    expected[0, 2:5] = True
    expected[2:4, 0] = True
    np.testing.assert_array_equal(mask, expected)


def test_boxes_outside_the_image_cover_nothing() -> None:
    assert not draw_boxes([Box((-5, -4, -2, -1), 1), Box((1, -4, 3, -1), 1), Box((7, 1, 9, 3), 1)], (4, 6)).any()


def test_bad_input_is_refused() -> None:
    score_map, inside = np.zeros((2, 2), np.float32), np.ones((2, 2), bool)
    with pytest.raises(DataError, match="at least one object pixel"):
        compute_energy(score_map, ~inside)
    with pytest.raises(DataError, match="object mask is 3x2 but score map is 2x2"):
        compute_hit(score_map, np.ones((3, 2), bool))
    with pytest.raises(DataError, match="ignore mask is 3x2"):
        compute_hit(score_map, inside, np.ones((3, 2), bool))
    with pytest.raises(ConfigError, match="tolerance"):
        compute_hit(score_map, inside, tolerance=-1)
