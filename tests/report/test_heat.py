"""Heat maps against the definition of the blend, and colour maps against their published end colours."""

from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.report.colours import colour_scores
from wsl.report.heat import draw_heat, draw_heat_overlay, find_span

MAP = np.array([[0.0, 0.25], [0.5, 1.0], [0.75, 0.125]], np.float32)
IMAGE = np.arange(18, dtype=np.uint8).reshape(3, 2, 3) * 10


@pytest.mark.parametrize(
    ("values", "span"),
    [([0.2, 0.4], (0.0, 1.0)), ([0.0, 1.0], (0.0, 1.0)), ([-1.0, 3.0], (-1.0, 3.0)), ([2.0, 2.0], (2.0, 2.0))],
)
def test_colours_stand_for_0_to_1_or_for_the_extremes(values: list[float], span: tuple[float, float]) -> None:
    assert find_span(np.array([values], np.float32)) == span


def test_viridis_has_its_published_ends() -> None:
    heat = draw_heat(np.array([[0.0, 1.0]], np.float32), "viridis")
    assert np.abs(heat[0].astype(int) - [(68, 1, 84), (253, 231, 37)]).max() <= 1


def test_jet_goes_from_blue_to_red() -> None:
    low, middle, high = draw_heat(np.array([[0.0, 0.5, 1.0]], np.float32), "jet")[0].astype(int)
    assert low[2] > 120
    assert (low[0], low[1], high[1], high[2]) == (0, 0, 0, 0)
    assert high[0] > 120
    assert middle[1] == 255


def test_a_span_moves_the_colours() -> None:
    assert np.array_equal(draw_heat(MAP * 4 - 2, "turbo", (-2.0, 2.0)), colour_scores(MAP, "turbo"))
    assert np.array_equal(draw_heat(MAP * 4 - 2, "turbo"), colour_scores(MAP, "turbo"))
    assert np.array_equal(draw_heat(np.full((2, 2), 3, np.float32)), colour_scores(np.zeros((2, 2)), "turbo"))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_overlay_is_the_weighted_mean_of_every_pixel(alpha: float) -> None:
    heat, drawn = draw_heat(MAP, "jet"), draw_heat_overlay(IMAGE, MAP, "jet", alpha)
    for row in range(3):
        for column in range(2):
            for channel in range(3):
                exact = (1 - alpha) * IMAGE[row, column, channel] + alpha * heat[row, column, channel]
                assert abs(int(drawn[row, column, channel]) - exact) <= 0.501


def test_bad_input() -> None:
    with pytest.raises(DataError, match="image is 3x2 but score map is 2x2"):
        draw_heat_overlay(IMAGE, MAP[:2])
    with pytest.raises(DataError, match="alpha: expected a value in"):
        draw_heat_overlay(IMAGE, MAP, alpha=1.5)
    with pytest.raises(ConfigError, match=r"Unknown colormap 'jett'\. Did you mean: jet"):
        draw_heat(MAP, "jett")
    with pytest.raises(DataError, match="1 are NaN or inf"):
        draw_heat(np.array([[np.nan]], np.float32))
