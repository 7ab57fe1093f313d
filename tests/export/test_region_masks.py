"""Regions in their windows against masks of whole images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.export_components import components_by_flooding
from wsl.data.rle import decode_mask, encode_mask
from wsl.export.region_masks import iterate_regions


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from(["components", "classes"]),
)
def test_window_box_and_runs_are_those_of_the_whole_mask(seed: int, size: tuple[int, int], instances: str) -> None:
    label_map = np.random.default_rng(seed).choice(np.array([0, 1, 1, 2, 255], np.uint8), size)
    for region in iterate_regions(label_map, instances):
        mask = region.mask
        assert region.encode() == encode_mask(mask)
        np.testing.assert_array_equal(decode_mask(region.encode()), mask)
        rows, columns = np.nonzero(mask)
        assert region.box.xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (label_map[mask] == region.class_id).all()


def test_long_runs_are_those_of_the_whole_mask() -> None:
    label_map = np.zeros((700, 900), np.uint8)
    label_map[3:690, 5:800], label_map[100:300, 850:] = 1, 2
    label_map[200:400, 300:500] = 0
    for region in iterate_regions(label_map, "components"):
        assert region.encode() == encode_mask(region.mask)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_small_components_are_passed_over(seed: int, least: int) -> None:
    label_map = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (7, 8))
    found = [(each.class_id, int(each.mask.sum())) for each in iterate_regions(label_map, "components", least)]
    expected = [(class_id, len(pixels)) for class_id, pixels in components_by_flooding(label_map)]
    assert found == [(class_id, pixels) for class_id, pixels in expected if pixels >= least]


@pytest.mark.parametrize("least", [1, 4])
def test_the_mask_of_a_class_has_its_specks(least: int) -> None:
    label_map = np.array([[1, 0, 0, 1]], np.uint8)
    (region,) = iterate_regions(label_map, "classes", least)
    assert region.mask.sum() == 2
