from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.oracles.localize_components import flood_components
from wsl.errors import ConfigError, DataError
from wsl.localize.components import find_components


@settings(max_examples=40, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)), st.sampled_from([4, 8]))
def test_same_regions_as_flood_fill(mask: np.ndarray, connectivity: int) -> None:
    labels, stats = find_components(mask, connectivity)
    found = [{(int(y), int(x)) for y, x in np.argwhere(labels == i + 1)} for i in range(len(stats))]
    assert sorted(map(sorted, found)) == sorted(map(sorted, flood_components(mask, connectivity)))
    assert ((labels == 0) == ~mask).all()
    for region, row in zip(found, stats.tolist(), strict=True):
        ys, xs = zip(*region, strict=True)
        assert row == [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1, len(region)]


def test_diagonal_joins_only_with_eight() -> None:
    mask = np.eye(3, dtype=np.bool_)
    assert len(find_components(mask, 8)[1]) == 1
    assert len(find_components(mask, 4)[1]) == 3


def test_empty_and_full() -> None:
    labels, stats = find_components(np.zeros((2, 3), np.bool_))
    assert stats.shape == (0, 5)
    assert labels.max() == 0
    assert find_components(np.ones((2, 3), np.uint8))[1].tolist() == [[0, 0, 3, 2, 6]]


def test_strided_mask_is_read_as_it_is() -> None:
    mask = np.zeros((6, 6), np.uint8)
    mask[::2, ::2] = [[7, 0, 0], [0, 0, 0], [0, 0, 200]]
    assert find_components(mask[::2, ::2])[1].tolist() == [[0, 0, 1, 1, 1], [2, 2, 1, 1, 1]]


def test_bad_input() -> None:
    with pytest.raises(ConfigError, match="expected 4 or 8, but got 6"):
        find_components(np.ones((2, 2), np.bool_), 6)
    with pytest.raises(DataError, match="at least one pixel"):
        find_components(np.ones((2, 0), np.bool_))
