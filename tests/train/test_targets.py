from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.train_metrics import draw_probabilities
from wsl.errors import DataError
from wsl.train.targets import build_targets, compute_class_weights, compute_sample_weights, plan_epoch
from wsl.types import Sample


def samples(*labels: tuple[int, ...] | None) -> list[Sample]:
    return [Sample(f"image{i}", Path("none"), ids) for i, ids in enumerate(labels)]


def test_single_label_targets_with_a_background_output() -> None:
    found = build_targets(samples((2,), (), (1,)), 2, "single", background_output=True)
    assert found.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_multi_label_targets_are_zero_for_background_images() -> None:
    found = build_targets(samples((1, 3), ()), 3, "multi", background_output=False)
    assert found.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "mode", "message"),
    [
        (None, "single", "image0: training needs the image-level label"),
        ((1, 2), "single", r"image0: has 2 classes; set train\.label_mode=multi"),
        ((), "single", "image0: has no class; background-only images need a background output"),
        ((3,), "multi", r"image0: expected class ids in 1\.\.2, but got \(3,\)"),
        ((0,), "multi", r"image0: expected class ids in 1\.\.2"),
    ],
)
def test_unfit_labels(labels: tuple[int, ...] | None, mode: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_targets(samples(labels), 2, mode, background_output=False)


def test_single_label_weights_by_hand() -> None:
    targets = build_targets(samples((1,), (1,), (1,), (2,)), 3, "single", background_output=False)
    np.testing.assert_allclose(compute_class_weights(targets, "single"), [4 / (2 * 3), 4 / (2 * 1), 1])


def test_multi_label_weights_by_hand_and_their_limit() -> None:
    targets = np.zeros((100, 3), np.float32)
    targets[:25, 0] = targets[:1, 1] = 1
    np.testing.assert_allclose(compute_class_weights(targets, "multi"), [3, 20, 1])  # 99 is cut to 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.frozensets(st.integers(1, 4), max_size=3), min_size=1, max_size=15))
def test_drawing_probabilities_against_counting(labels: list[frozenset[int]]) -> None:
    targets = build_targets(samples(*(tuple(sorted(ids)) for ids in labels)), 4, "multi", background_output=False)
    np.testing.assert_allclose(compute_sample_weights(targets), draw_probabilities(labels))


def test_an_epoch_shows_every_image_once_in_another_order_each_time() -> None:
    plans = [plan_epoch(None, 10, 4, seed=3, epoch=epoch) for epoch in (0, 0, 1)]
    assert [len(batch) for batch in plans[0]] == [4, 4, 2]
    assert sorted(index for batch in plans[0] for index in batch) == list(range(10))
    assert plans[0] == plans[1] != plans[2]


def test_a_last_batch_of_one_is_left_out() -> None:
    assert [len(batch) for batch in plan_epoch(None, 9, 4, seed=0, epoch=0)] == [4, 4]


def test_drawing_balances_the_classes() -> None:
    targets = build_targets(samples(*[(1,)] * 90, *[(2,)] * 10), 2, "single", background_output=False)
    weights = compute_sample_weights(targets)
    drawn = Counter(i >= 90 for epoch in range(10) for b in plan_epoch(weights, 100, 10, 0, epoch) for i in b)
    assert 400 < drawn[True] < 600
