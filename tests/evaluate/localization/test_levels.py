from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_max_box_acc import quantise
from wsl.errors import DataError
from wsl.evaluate.localization.levels import to_8_bit, to_8_bit_as_given, to_levels


def test_quantisation_is_that_of_the_protocol() -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        score_map = generator.normal(size=generator.integers(3, 26, 2))
        assert to_8_bit(score_map).tolist() == quantise(score_map).tolist()


def test_quantisation_cuts() -> None:
    assert to_8_bit(np.array([[0.0, 0.5, 0.999, 1.0]])).tolist() == [[0, 127, 254, 255]]
    assert to_8_bit(np.full((2, 2), 0.3)).tolist() == [[0, 0], [0, 0]]
    assert to_8_bit_as_given(np.array([[0.3, 0.0, 1.0]])).tolist() == [[76, 0, 255]]


def test_maps_taken_as_they_are_must_lie_in_0_to_1() -> None:
    for bad in (1.5, -0.1):
        with pytest.raises(DataError, match=r"cat: expected scores in \[0, 1\]"):
            to_8_bit_as_given(np.array([[0.0, bad]]), "cat")


def test_thresholds_become_levels() -> None:
    assert to_levels([0, 0.5, 0.999]).tolist() == [0, 127, 254]
    # the product is cut, as it comes out in floating point: 0.29 * 100 is 28.999999999999996
    assert (
        to_levels([0.29, 0.57, 0.999], peak=100).tolist() == [int(t * 100) for t in (0.29, 0.57, 0.999)] == [28, 56, 99]
    )
    with pytest.raises(DataError, match=r"all in \[0, 1\)"):
        to_levels([1.0])


@pytest.mark.parametrize("bad", [np.zeros((2, 2), np.uint8), np.zeros((1, 2, 2)), np.zeros((0, 2))])
def test_other_maps_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected floating"):
        to_8_bit(bad)
    with pytest.raises(DataError, match="1 are NaN or inf"):
        to_8_bit(np.array([[0.0, np.inf]]))
