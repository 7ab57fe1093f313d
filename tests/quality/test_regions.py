"""Regions, their shapes and sums against flooding and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import quality_signals as oracle
from wsl.errors import ConfigError
from wsl.quality.regions import (
    as_one_region,
    compute_compactness,
    compute_largest_share,
    count_least_pixels,
    find_border,
    find_regions,
)

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def draw_mask(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random(size) < rng.choice([0.0, 0.3, 0.6, 1.0])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES)
def test_regions_equal_flooding(seed: int, size: tuple[int, int]) -> None:
    mask = draw_mask(seed, size)
    plane = np.random.default_rng(seed).random(size).astype(np.float32)
    found, expected = find_regions(mask), oracle.regions_by_flooding(mask)
    assert found.count == len(expected)
    border = find_border(found)
    for number, region in enumerate(expected):
        assert [(int(y), int(x)) for y, x in zip(*np.nonzero(found.labels == number + 1), strict=True)] == region
        assert found.areas[number] == len(region)
        assert found.sum(plane)[number] == pytest.approx(sum(float(plane[place]) for place in region))
        assert found.mean(plane)[number] == pytest.approx(np.mean([plane[place] for place in region]), rel=1e-5)
        assert compute_compactness(found)[number] == pytest.approx(oracle.compactness_of(region))
        inside = {(int(y), int(x)) for y, x in zip(*np.nonzero(border), strict=True)} & set(region)
        assert inside == set(oracle.border_of(region, size))
    share = compute_largest_share(mask)
    assert share == pytest.approx(max(map(len, expected)) / mask.sum()) if mask.any() else math.isnan(share)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES, st.integers(0, 6))
def test_small_regions_are_as_if_they_were_not_there(seed: int, size: tuple[int, int], least: int) -> None:
    mask = draw_mask(seed, size)
    found = find_regions(mask, least)
    expected = [region for region in oracle.regions_by_flooding(mask) if len(region) >= least]
    assert found.count == len(expected)
    labels = np.zeros(size, np.int32)
    for number, region in enumerate(expected, start=1):
        labels[tuple(zip(*region, strict=True))] = number
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize(
    ("min_area", "pixels"), [(0, 1), (0.0001, 31), (0.01, 3072), (0.999999, 307200), (1, 1), (16, 16), (2.5, 3)]
)
def test_least_area_in_pixels_or_as_a_fraction(min_area: float, pixels: int) -> None:
    assert count_least_pixels(min_area, (480, 640)) == pixels


@pytest.mark.parametrize("min_area", [-1, math.nan, math.inf])
def test_least_area_must_be_a_finite_number_from_0(min_area: float) -> None:
    with pytest.raises(ConfigError, match="min_area: expected pixels"):
        count_least_pixels(min_area, (480, 640))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES)
def test_largest_overlap_equals_loops(seed: int, size: tuple[int, int]) -> None:
    first, second = draw_mask(seed, size), draw_mask(seed + 1, size)
    others = oracle.regions_by_flooding(second)
    expected = [
        max((oracle.iou_of(region, other) for other in others), default=0.0)
        for region in oracle.regions_by_flooding(first)
    ]
    np.testing.assert_allclose(find_regions(first).largest_overlap(find_regions(second)), expected)


def test_hand_worked_shapes() -> None:
    square, line = np.ones((4, 4), np.bool_), np.ones((1, 8), np.bool_)
    assert compute_compactness(find_regions(square)).tolist() == [1.0]
    assert compute_compactness(find_regions(line)).tolist() == [16 * 8 / 18**2]
    assert not find_border(find_regions(square)).any()
    two = np.zeros((5, 9), np.bool_)
    two[:2, :2], two[3:, 4:] = True, True
    assert compute_largest_share(two) == 10 / 14
    assert as_one_region(two).areas.tolist() == [14.0]
    assert as_one_region(two).count == 1
    assert compute_compactness(as_one_region(two)).tolist() == [16 * 14 / 22**2]


def test_an_empty_mask_has_no_region() -> None:
    empty = np.zeros((3, 4), np.bool_)
    for regions in (find_regions(empty), as_one_region(empty)):
        assert (regions.count, regions.areas.tolist(), compute_compactness(regions).tolist()) == (0, [], [])
        assert regions.largest_overlap(find_regions(~empty)).tolist() == []


def test_parts_keep_their_numbers() -> None:
    mask = np.zeros((3, 5), np.bool_)
    mask[:, 0], mask[:, 4] = True, True
    kept = find_regions(mask).keep(np.arange(5)[None] > np.array([[2], [2], [2]]))
    assert kept.areas.tolist() == [0.0, 3.0]
