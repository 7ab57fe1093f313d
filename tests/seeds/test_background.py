from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.seeds.background import BACKGROUND_RULES, compute_background

SCORES = np.array([[[0.0, 0.5], [1.0, 0.2]], [[0.1, 0.25], [0.0, 0.2]]], np.float32)


def test_constant_is_a_float32_plane() -> None:
    plane = compute_background(SCORES, "constant", 0.3)
    assert plane.dtype == np.float32
    assert plane.shape == (2, 2)
    assert (plane == np.float32(0.3)).all()


def test_power_hand_worked() -> None:
    plane = compute_background(SCORES, "power", 2)
    assert plane.dtype == np.float32
    np.testing.assert_allclose(plane, [[0.81, 0.25], [0.0, 0.64]], rtol=1e-6)


def test_power_of_scores_just_above_one_is_zero() -> None:
    scores = np.full((1, 1, 1), np.nextafter(np.float32(1), np.float32(2)), np.float32)
    assert compute_background(scores, "power", 0.5).item() == 0


@pytest.mark.parametrize("rule", BACKGROUND_RULES.names())
def test_no_class_is_all_background(rule: str) -> None:
    plane = compute_background(np.zeros((0, 3, 4), np.float32), rule, 0.5)
    assert plane.shape == (3, 4)
    assert (plane == 1).all()


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ("constant", 1.2, "in \\[0, 1\\], but got 1.2"),
        ("power", 0, "exponent above 0, but got 0"),
        ("power", np.inf, "exponent above 0"),
        ("powr", 1, "Did you mean: power"),
    ],
)
def test_bad_rule_or_value(rule: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compute_background(SCORES, rule, value)


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="1 are NaN or inf"):
        compute_background(np.array([[[np.nan, 0]]], np.float32), "constant", 0.1)
