from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsl.errors import DataError
from wsl.evaluate.certainty.spread import Spread, spread


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_agrees_with_the_sample_formulas(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(statistics.mean(values), abs=1e-15)
    assert found.std == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert (found.low, found.high, found.runs, found.undefined) == (min(values), max(values), len(values), 0)


def test_one_value_has_no_deviation() -> None:
    assert spread([0.5]) == Spread(0.5, None, 0.5, 0.5, 1)


def test_undefined_values_are_counted_apart() -> None:
    assert spread([0.25, None, float("nan"), 0.75]) == Spread(0.5, pytest.approx(0.125**0.5), 0.25, 0.75, 2, 2)
    assert spread([None]) == Spread(None, None, None, None, 0, 1)


def test_no_run_is_refused() -> None:
    with pytest.raises(DataError, match="at least one run"):
        spread([])
