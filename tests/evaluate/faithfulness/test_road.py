"""ROAD against equations written out one by one into a lil matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_faithfulness import impute_removed
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.maps import rank_pixels
from wsl.evaluate.faithfulness.road import compute_road, impute, make_removals

GENERATOR = np.random.default_rng(2)
IMAGE = GENERATOR.integers(0, 256, (12, 9, 3)).astype(np.uint8)
MAP = GENERATOR.random((12, 9)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 0.95), st.integers(0, 1000))
def test_imputed_values_equal_the_oracle(height: int, width: int, share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3)).astype(np.uint8)
    removed = generator.random((height, width)) < share
    removed[0, 0] = False
    expected = impute_removed(image, removed) if removed.any() else image
    np.testing.assert_allclose(impute(image, removed, noise=0), expected, atol=1e-3)


def test_one_removed_pixel_is_the_weighted_mean_of_its_neighbours() -> None:
    image = np.zeros((3, 3, 3), np.uint8)
    image[0, 1], image[0, 0] = 120, 60
    removed = np.zeros((3, 3), bool)
    removed[1, 1] = True
    assert impute(image, removed, noise=0)[1, 1].tolist() == pytest.approx([120 / 6 + 60 / 12] * 3)


def test_a_constant_image_stays_what_it_is() -> None:
    image = np.full((8, 8, 3), 77, np.uint8)
    removed = np.ones((8, 8), bool)
    removed[7, 0] = False
    np.testing.assert_allclose(impute(image, removed, noise=0), 77, atol=1e-3)


def test_removed_are_the_first_pixels_of_the_order_and_nothing_else_changes() -> None:
    order = rank_pixels(MAP)
    images = make_removals(IMAGE, order, (25, 75), seed=3)
    assert images.shape == (2, 12, 9, 3)
    assert images.dtype == np.float32
    for image, share in zip(images, (0.25, 0.75), strict=True):
        changed = (image != IMAGE).any(2).ravel()
        assert set(np.flatnonzero(changed)) == set(order[: round(share * 108)])


def test_noise_is_seeded_and_of_the_stated_size() -> None:
    image = np.full((60, 60, 3), 128, np.uint8)
    order = np.arange(3600)
    first, again, other = (make_removals(image, order, (90,), noise=0.02, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first[0].reshape(-1, 3)[:3240] - 128).std() == pytest.approx(0.02 * 255, rel=0.05)


def test_combined_score() -> None:
    scores = compute_road(0.9, np.array([0.1, 0.3]), np.array([0.8, 0.6]))
    assert scores == pytest.approx({"ROAD MoRF": -0.7, "ROAD LeRF": -0.2, "ROAD": 0.25})


def test_bad_input_is_refused() -> None:
    order = rank_pixels(MAP)
    for percentages in ((), (0,), (100,), (20, 120)):
        with pytest.raises(ConfigError, match="above 0 and below 100"):
            make_removals(IMAGE, order, percentages)
    with pytest.raises(DataError, match="expected 108 pixels"):
        make_removals(IMAGE, order[1:], (20,))
    with pytest.raises(DataError, match="leaves at least one pixel"):
        impute(IMAGE, np.ones((12, 9), bool))
    with pytest.raises(DataError, match="two equal lists"):
        compute_road(0.5, np.array([0.1]), np.array([0.1, 0.2]))
