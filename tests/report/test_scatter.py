"""Scatter plots: what is drawn where."""

from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.report.scatter import BAND, BAR, HEIGHT, WIDTH, Scatter, draw_scatters


def test_bars_stand_at_their_means() -> None:
    plot = Scatter("a", [(0.0, 0.0), (1.0, 1.0)], [("low", 0.0), ("high", 1.0)])
    picture = draw_scatters([plot])
    rows, columns = np.nonzero((picture == BAR).all(axis=2))
    left, right = rows[columns < WIDTH * 0.5], rows[columns > WIDTH * 0.6]
    assert right.max() < BAND + HEIGHT / 2 < left.min()
    assert picture.shape[1] == WIDTH


def test_grid_of_plots_and_equal_values() -> None:
    plot = Scatter("b", [(3.0, 0.5)], [("all", 0.5)])
    four, one = draw_scatters([plot] * 4), draw_scatters([plot])
    assert four.shape == (2 * one.shape[0], 3 * WIDTH, 3)
    np.testing.assert_array_equal(four[: one.shape[0], :WIDTH], one)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(DataError, match="at least one plot"):
        draw_scatters([])
    with pytest.raises(DataError, match="at least one plot"):
        draw_scatters([Scatter("a", [], [])])
