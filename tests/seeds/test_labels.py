from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles.seeds_labels import label_of, seeds_by_pixel
from wsl.errors import ConfigError, DataError
from wsl.seeds.labels import combine_labels, label_from_scores, seed_label_map

VALUES = st.sampled_from([0.0, 0.05, 0.25, 0.3, 0.30000001, 0.5, 0.9, 1.0])
SCORES = st.integers(0, 3).flatmap(lambda count: arrays(np.float32, (count, 3, 4), elements=VALUES.map(np.float32)))
RULES = st.sampled_from([("constant", 0.3, 0.05), ("constant", 0.5, 0.5), ("power", 4.0, 32.0), ("power", 0.5, 1.0)])


@settings(max_examples=60, deadline=None)
@given(SCORES, RULES)
def test_seeds_and_labels_against_the_oracle(scores: np.ndarray, rule: tuple[str, float, float]) -> None:
    name, foreground, background = rule
    class_ids = [9, 2, 30][: len(scores)]
    seeds = seed_label_map(scores, class_ids, rule=name, foreground=foreground, background=background)
    assert seeds.dtype == np.uint8
    np.testing.assert_array_equal(seeds, seeds_by_pixel(scores, class_ids, name, foreground, background))
    labels = label_from_scores(scores, class_ids, name, foreground)
    wanted = [[label_of(list(scores[:, y, x]), class_ids, name, foreground) for x in range(4)] for y in range(3)]
    assert labels.tolist() == wanted


def test_two_thresholds_by_hand() -> None:
    scores = np.array([[[0.9, 0.2, 0.01, 0.35]], [[0.1, 0.25, 0.0, 0.6]]], np.float32)
    seeds = seed_label_map(scores, (3, 7), foreground=0.3, background=0.05)
    assert seeds.tolist() == [[3, 255, 0, 7]]


def test_ties_go_to_background_then_to_the_first_class() -> None:
    scores = np.array([[[0.3, 0.8]], [[0.1, 0.8]]], np.float32)
    assert label_from_scores(scores, (5, 6), "constant", 0.3).tolist() == [[0, 5]]


def test_no_class_is_background_without_doubt() -> None:
    seeds = seed_label_map(np.zeros((0, 2, 3), np.float32), (), foreground=0.3, background=0.05)
    assert seeds.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_combine_labels_table() -> None:
    foreground = np.array([[0, 0, 4, 4, 4]], np.uint8)
    background = np.array([[0, 4, 0, 4, 2]], np.uint8)
    assert combine_labels(foreground, background).tolist() == [[0, 255, 4, 4, 4]]


def test_power_equals_the_constant_at_its_fixed_point() -> None:
    # (1 - m)^2 = m at m = 0.381966: exponent 2 cuts where the constant 0.381966 does.
    scores = np.linspace(0, 1, 1001, dtype=np.float32)[None, None]
    by_power = label_from_scores(scores, (1,), "power", 2)
    np.testing.assert_array_equal(by_power, label_from_scores(scores, (1,), "constant", 0.381966))


def test_wrong_order_is_refused() -> None:
    scores = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ConfigError, match=r"expected foreground >= background .* swap the two"):
        seed_label_map(scores, (1,), foreground=0.05, background=0.3)
    with pytest.raises(ConfigError, match="expected foreground <= background"):
        seed_label_map(scores, (1,), rule="power", foreground=32, background=4)


@pytest.mark.parametrize("class_ids", [(1,), (1, 1), (0, 1), (1, 255), (1, 2, 3)])
def test_bad_class_ids(class_ids: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected 2 different ids in"):
        label_from_scores(np.zeros((2, 2, 2), np.float32), class_ids, "constant", 0.3)


def test_sizes_must_be_equal() -> None:
    with pytest.raises(DataError, match="sizes must be equal"):
        combine_labels(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
