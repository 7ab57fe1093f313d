"""Quotients of sums and means over images against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.errors import DataError
from wsl.evaluate.certainty.bootstrap import bootstrap, bootstrap_classes
from wsl.evaluate.certainty.paired import paired_test
from wsl.evaluate.certainty.ratio_table import RatioTable
from wsl.evaluate.certainty.run_difference import compare_tables

IDS = tuple("abcdef")


def make_table(seed: int, **options: bool) -> RatioTable:
    """Image "c" has no row; the wholes are the same for every seed."""
    rows, wholes = np.array([0, 1, 3, 4, 5]), np.array([4, 9, 2, 5, 8])
    return RatioTable(IDS, rows, np.random.default_rng(seed).integers(0, wholes + 1), wholes, **options)


def literal(table: RatioTable, weights: list[int]) -> float:
    part = whole = 0
    for row, image in enumerate(table.row_image.tolist()):
        part += weights[image] * int(table.part[row])
        whole += weights[image] * int(table.whole[row])
    return part / whole if whole else float("nan")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4))
def test_sums_are_weighted_before_they_are_divided(seed: int, weights: list[list[int]]) -> None:
    table = make_table(seed)
    expected = [literal(table, row) for row in weights]
    np.testing.assert_allclose(table.measure(weights), expected, rtol=1e-15)
    assert table.measure_classes(weights).shape == (len(weights), 0)


def test_a_mean_over_images_is_one_of_ones() -> None:
    table = RatioTable(("a", "b", "c"), np.array([0, 2]), np.array([0.25, 0.75]), np.array([1, 1]))
    assert table.measure([[1, 1, 1], [3, 5, 1], [0, 1, 0]])[:2].tolist() == [0.5, 0.375]
    assert np.isnan(table.measure([[0, 1, 0]])).all()


def test_selected_images_keep_their_rows() -> None:
    table = make_table(0)
    found = table.select(np.array([5, 2, 0]))
    assert found.image_ids == ("f", "c", "a")
    assert found.measure([[1, 1, 1]])[0] == literal(table, [1, 0, 0, 0, 0, 1])


def test_intervals_and_comparisons_are_of_the_whole_alone() -> None:
    first, second = make_table(0), make_table(1)
    assert bootstrap(first, replicates=30).value == literal(first, [1] * 6)
    assert bootstrap_classes(first, replicates=30) == {}
    rows = compare_tables([("one", {"x": first}), ("two", {"x": second})], replicates=30)
    assert [(row.run, row.class_id) for row in rows] == [("one", None), ("two", None)]
    assert rows[1].difference.difference == literal(second, [1] * 6) - literal(first, [1] * 6)
    assert rows[1].difference.test == "swap"


def test_another_truth_is_noticed_where_the_wholes_are_of_the_truth() -> None:
    first, other = make_table(0), make_table(0).select(np.array([0, 1, 3, 2, 4, 5]))
    moved = RatioTable(IDS, other.row_image, other.part, other.whole)
    with pytest.raises(DataError, match="different ground truth"):
        paired_test(first, moved, replicates=10)
    free = [RatioTable(IDS, each.row_image, each.part, each.whole, of_truth=False) for each in (first, moved)]
    assert paired_test(*free, replicates=10).difference == 0


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (np.array([np.nan]), np.array([1]), "part: expected finite numbers"),
        (np.array([1]), np.array([-1]), "whole: expected integers"),
        (np.array([1]), np.array([1.0]), "whole: expected integers"),
        (np.array([1, 2]), np.array([1]), "part: expected one entry"),
    ],
)
def test_damaged_rows_are_refused(part: np.ndarray, whole: np.ndarray, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        RatioTable(("a",), np.array([0]), part, whole)
