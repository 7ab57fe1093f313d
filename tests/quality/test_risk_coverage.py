"""Rank correlations and risk-coverage curves against their definitions and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import quality_risk_coverage as oracle
from wsl.errors import DataError
from wsl.quality.risk_coverage import compute_kendall, compute_risk_coverage, compute_spearman

LISTS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5).map(lambda v: v / 4), min_size=n, max_size=n)] * 2)
)
FEW = st.integers(1, 6).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3).map(lambda v: v / 4), min_size=n, max_size=n)] * 2)
)


@settings(max_examples=100, deadline=None)
@given(LISTS)
def test_correlations_equal_the_definitions(lists: tuple[list[float], list[float]]) -> None:
    for found, expected in (
        (compute_kendall(*lists), oracle.kendall(*lists)),
        (compute_spearman(*lists), oracle.spearman(*lists)),
    ):
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_correlations_equal_scipys_on_many_values() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 200, 700) / 200
    second = np.round(first + rng.normal(size=700), 1)
    assert compute_spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-12)
    assert compute_kendall(first, second) == pytest.approx(scipy.stats.kendalltau(first, second).statistic, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(FEW)
def test_the_curve_is_the_mean_over_all_orders_of_ties(lists: tuple[list[float], list[float]]) -> None:
    confidence, quality = lists
    curve = compute_risk_coverage(confidence, quality)
    expected = oracle.quality_of_best(confidence, quality)
    np.testing.assert_allclose(curve.quality, expected, atol=1e-12)
    assert curve.aurc == pytest.approx(1 - np.mean(expected))
    assert curve.oracle == pytest.approx(1 - np.mean(oracle.quality_of_best(quality, quality)))
    assert curve.random == pytest.approx(1 - np.mean(quality))
    assert curve.oracle <= curve.aurc + 1e-12
    shuffled = np.random.default_rng(0).permutation(len(quality))
    again = compute_risk_coverage(np.array(confidence)[shuffled], np.array(quality)[shuffled])
    np.testing.assert_allclose(again.quality, curve.quality, atol=1e-12)


def test_a_hand_worked_curve() -> None:
    curve = compute_risk_coverage([0.9, 0.8, 0.7, 0.1], [1.0, 0.5, 0.9, 0.0])
    np.testing.assert_allclose(curve.quality, [1.0, 0.75, 0.8, 0.6])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    assert curve.aurc == pytest.approx(0.2125)
    assert curve.excess == pytest.approx(0.2125 - (1 - (1.0 + 0.95 + 0.8 + 0.6) / 4))
    assert curve.gain == pytest.approx((0.4 - 0.2125) / (0.4 - 0.1625))
    assert (curve.at(0.5), curve.at(0.51), curve.at(1), curve.at(0.01)) == pytest.approx((0.75, 0.8, 0.6, 1.0))


def test_a_perfect_order_has_no_excess_and_equal_qualities_no_gain() -> None:
    assert compute_risk_coverage([3, 2, 1], [0.9, 0.5, 0.1]).excess == pytest.approx(0)
    assert compute_risk_coverage([3, 2, 1], [0.9, 0.5, 0.1]).gain == pytest.approx(1)
    assert compute_risk_coverage([3, 2, 1], [0.5, 0.5, 0.5]).gain is None
    assert compute_risk_coverage([1, 1, 1], [0.9, 0.5, 0.1]).gain == pytest.approx(0)


@pytest.mark.parametrize("function", [compute_risk_coverage, compute_spearman, compute_kendall])
def test_lists_that_do_not_fit_are_refused(function) -> None:
    with pytest.raises(DataError, match=r"two lists of the same length, at least \d, but got \(2,\) and \(3,\)"):
        function([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="some are NaN or inf"):
        function([1, np.nan], [1, 2])
    with pytest.raises(DataError, match="at least"):
        function([], [])
