from __future__ import annotations

import numpy as np
import pytest

from wsl.refine.crf.scaled import enlarge_probabilities, find_small_size, shrink_features, shrink_planes


def test_shrunk_planes_are_means_of_blocks() -> None:
    planes = np.arange(32.0).reshape(2, 4, 4)
    wanted = planes.reshape(2, 2, 2, 2, 2).mean((2, 4))
    np.testing.assert_allclose(shrink_planes(planes, (2, 2)), wanted)


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_features_of_any_number_of_channels(channels: int) -> None:
    features = np.random.default_rng(0).integers(0, 2**16, (4, 6, channels), dtype=np.uint16)
    wanted = features.reshape(2, 2, 3, 2, channels).mean((1, 3))
    np.testing.assert_allclose(shrink_features(features, (2, 3)), wanted, rtol=1e-6)


def test_small_sizes() -> None:
    assert find_small_size((375, 500), 2) == (188, 250)
    assert find_small_size((1, 5), 4) == (1, 1)


def test_enlarged_probabilities_sum_to_one() -> None:
    small = np.random.default_rng(0).dirichlet(np.ones(3), (4, 5)).transpose(2, 0, 1).astype(np.float32)
    large = enlarge_probabilities(small, (7, 11))
    assert large.shape == (3, 7, 11)
    np.testing.assert_allclose(large.sum(0), 1, atol=1e-6)
