from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.errors import DataError
from wsl.quality.calibration import fit_calibration


def isotonic_by_extremes(x: list[float], y: list[float]) -> list[float]:
    """Value at each pair: max over starts before of the min over ends behind of the mean between (Robertson 1988)."""
    places = sorted(set(x))

    def mean(low: float, high: float) -> float:
        inside = [b for a, b in zip(x, y, strict=True) if low <= a <= high]
        return sum(inside) / len(inside)

    return [max(min(mean(low, high) for high in places if high >= a) for low in places if low <= a) for a in x]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=12))
def test_the_curve_is_the_least_squares_one(pairs: list[tuple[int, int]]) -> None:
    x, y = [a / 5 for a, _ in pairs], [b / 8 for _, b in pairs]
    curve = fit_calibration(x, y)
    np.testing.assert_allclose(curve.predict(x), isotonic_by_extremes(x, y), atol=1e-12)
    assert (np.diff(curve.quality) >= 0).all()


def test_scipy_agrees() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    if not hasattr(optimize, "isotonic_regression"):
        pytest.skip("scipy before 1.12 has no isotonic_regression")
    rng = np.random.default_rng(0)
    x = np.sort(rng.random(200))
    y = np.clip(x + rng.normal(size=200) / 5, 0, 1)
    np.testing.assert_allclose(fit_calibration(x, y).predict(x), optimize.isotonic_regression(y).x, atol=1e-12)


def test_between_and_beyond_the_points() -> None:
    curve = fit_calibration([0.2, 0.6, 0.6], [0.1, 0.4, 0.6])
    np.testing.assert_allclose(curve.predict([0.0, 0.2, 0.4, 0.6, 1.0]), [0.1, 0.1, 0.3, 0.5, 0.5])


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [0.5]), ([[1.0]], [[1.0]])])
def test_lists_that_do_not_fit_are_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(DataError, match="calibration: expected two finite lists of one length"):
        fit_calibration(x, y)
