from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles.localize_components import otsu_split
from wsl.errors import ConfigError, DataError
from wsl.localize.threshold import THRESHOLD_RULES, compute_threshold, threshold_mask

RAMP = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 0.5]], np.float32)
MAPS = arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=16))


@pytest.mark.parametrize(
    ("rule", "value", "wanted"),
    [("fixed", 0.3, 0.3), ("relative", 0.25, 0.2), ("percentile", 50, 0.45), ("percentile", 100, 0.8)],
)
def test_hand_worked(rule: str, value: float, wanted: float) -> None:
    assert compute_threshold(RAMP, rule, value) == pytest.approx(wanted, abs=1e-7)


def test_otsu_separates_two_heaps() -> None:
    score_map = np.array([[0.1, 0.12, 0.11, 0.8], [0.82, 0.1, 0.9, 0.12]], np.float32)
    cut = compute_threshold(score_map, "otsu")
    assert cut == np.float32(0.12)
    assert threshold_mask(score_map, cut).sum() == 3


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (4, 6)).filter(lambda levels: levels.min() != levels.max()))
def test_otsu_against_all_cuts(levels: np.ndarray) -> None:
    levels[0, 0], levels[-1, -1] = 0, 255
    score_map = levels.astype(np.float32) / np.float32(255)
    cut = compute_threshold(score_map, "otsu")
    quantised = ((score_map.astype(np.float64)) * 255).astype(np.uint8)
    allowed = [frozenset(np.flatnonzero(quantised > level)) for level in otsu_split(quantised)]
    assert frozenset(np.flatnonzero(threshold_mask(score_map, cut))) in allowed


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_constant_map_is_handled(constant: float) -> None:
    score_map = np.full((3, 4), constant, np.float32)
    assert compute_threshold(score_map, "otsu") == np.float32(constant)
    assert compute_threshold(score_map, "percentile", 20) == np.float32(constant)
    assert compute_threshold(score_map, "relative", 0.5) == pytest.approx(constant / 2)


def test_ties_are_background_in_float32() -> None:
    score_map = np.array([[np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1))]], np.float32)
    assert threshold_mask(score_map, compute_threshold(score_map, "fixed", 0.3)).tolist() == [[False, True]]


@settings(max_examples=20, deadline=None)
@given(MAPS, st.floats(0, 0.99))
def test_relative_is_scale_free_and_keeps_the_peak(score_map: np.ndarray, value: float) -> None:
    cut = compute_threshold(score_map, "relative", value)
    assert cut <= score_map.max()
    halved = compute_threshold(score_map / 2, "relative", value)
    assert halved == pytest.approx(cut / 2, abs=1e-7)


@pytest.mark.parametrize(
    ("rule", "value"), [("fixed", 1.5), ("relative", -0.1), ("percentile", 101), ("fixed", np.nan)]
)
def test_value_out_of_range(rule: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"'{rule}': expected a value in"):
        compute_threshold(RAMP, rule, value)


def test_unknown_rule_is_suggested() -> None:
    with pytest.raises(ConfigError, match="Did you mean: percentile"):
        compute_threshold(RAMP, "percentil", 3)


@pytest.mark.parametrize("bad", [np.zeros((0, 3), np.float32), np.zeros((2, 2, 2), np.float32)])
def test_bad_shape(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="at least one pixel"):
        compute_threshold(bad)


def test_nan_and_integers_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        compute_threshold(np.array([[np.nan]], np.float32))
    with pytest.raises(DataError, match="floating"):
        compute_threshold(np.zeros((2, 2), np.uint8))


def test_names() -> None:
    assert THRESHOLD_RULES.names() == ["fixed", "otsu", "percentile", "relative"]
