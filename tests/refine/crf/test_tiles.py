from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.errors import ConfigError
from wsl.refine.crf.tiles import AUTO_TILE, Blend, Tiling, choose_tiling, compute_weights, crop_input
from wsl.refine.inputs import RefineInput

sides = st.integers(1, 60)


@settings(deadline=None, max_examples=100)
@given(size=st.tuples(sides, sides), side=st.integers(2, 30), data=st.data())
def test_tiles_cover_the_image_and_share_the_overlap(size: tuple[int, int], side: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, side - 1))
    windows = Tiling(side, overlap).list_windows(size)
    seen = np.zeros(size, int)
    for rows, columns in windows:
        assert rows.stop - rows.start == min(side, size[0])
        assert columns.stop - columns.start == min(side, size[1])
        seen[rows, columns] += 1
    assert seen.min() >= 1
    starts = sorted({columns.start for _, columns in windows})
    assert all(after - before <= side - overlap for before, after in pairwise(starts))


@settings(deadline=None, max_examples=50)
@given(size=st.tuples(sides, sides), side=st.integers(2, 30), data=st.data())
def test_blended_tiles_of_one_picture_are_the_picture(size: tuple[int, int], side: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, side - 1))
    planes = np.random.default_rng(0).random((2, *size)).astype(np.float32)
    blend = Blend(2, size, overlap)
    for window in Tiling(side, overlap).list_windows(size):
        blend.add(window, planes[:, window[0], window[1]])
    np.testing.assert_allclose(blend.finish(), planes, rtol=1e-5)


def test_weights_rise_from_inner_edges_only() -> None:
    weights = compute_weights((slice(0, 4), slice(2, 6)), (4, 8), 2)
    np.testing.assert_allclose(weights, np.tile([1 / 3, 2 / 3, 2 / 3, 1 / 3], (4, 1)), rtol=1e-6)
    np.testing.assert_array_equal(compute_weights((slice(0, 4), slice(0, 8)), (4, 8), 2), np.ones((4, 8)))


def test_choice_of_a_tiling() -> None:
    assert choose_tiling((2000, 2000), None, None, 50) is None
    assert choose_tiling((2000, 2001), None, None, 50) == Tiling(AUTO_TILE, 100)
    assert choose_tiling((10, 10), 8, None, 50) == Tiling(8, 4)
    assert choose_tiling((10, 10), 8, 3, 50) == Tiling(8, 3)
    with pytest.raises(ConfigError, match="tile, tile_overlap"):
        choose_tiling((10, 10), 8, 8, 50)


def test_a_cropped_input_is_the_part_of_everything() -> None:
    rng = np.random.default_rng(0)
    image, scores = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8), rng.random((2, 6, 7)).astype(np.float32)
    seeds, bands = rng.integers(0, 3, (6, 7)).astype(np.uint8), rng.random((6, 7, 4))
    inputs = RefineInput(image, scores, seeds, (1, 2), scores[0], bands)
    cropped = crop_input(inputs, (slice(1, 3), slice(2, 6)))
    np.testing.assert_array_equal(cropped.image, image[1:3, 2:6])
    np.testing.assert_array_equal(cropped.stack(), inputs.stack()[:, 1:3, 2:6])
    np.testing.assert_array_equal(cropped.seeds, seeds[1:3, 2:6])
    np.testing.assert_array_equal(cropped.features, inputs.features[1:3, 2:6])
    assert crop_input(RefineInput(image, scores, None, (1, 2), scores[0]), (slice(1), slice(1))).seeds is None
