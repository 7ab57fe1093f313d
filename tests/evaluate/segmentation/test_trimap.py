from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.segmentation.test_boundary import make_map, make_pair
from tests.oracles.evaluate_boundary import contour_by_neighbour, squared_distance_by_pixel
from tests.oracles.evaluate_confusion import confusion_by_pixel
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.confusion import Confusion, compute_iou
from wsl.evaluate.segmentation.trimap import TrimapIoU


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), policy=st.sampled_from(["background", "exclude"]))
def test_agrees_with_one_band_at_a_time(seed: int, policy: str) -> None:
    truth, predicted = make_pair(seed, [0, 1, 2, 255])
    widths = (1, 1.5, 2, 5)
    metric = TrimapIoU(2, widths, policy)
    metric.update(truth, predicted)
    distance = squared_distance_by_pixel(contour_by_neighbour(truth))
    for width, matrix in zip(widths, metric.confusions(), strict=True):
        in_band = distance < width**2
        expected, _ = confusion_by_pixel(truth[in_band], predicted[in_band], 2, policy)
        assert matrix.tolist() == expected


def test_hand_worked_band() -> None:
    truth = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    predicted = np.array([[0, 0, 0, 1, 1, 1, 1, 0]], np.uint8)
    metric = TrimapIoU(1, (1, 2, 9))
    metric.update(truth, predicted)
    narrow, middle, wide = metric.scores()
    assert narrow.value == pytest.approx((0 + 1 / 2) / 2)  # the two pixels at the edge: 0 1 against 1 1
    assert middle.value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert wide.value == pytest.approx((3 / 5 + 3 / 5) / 2)
    assert narrow.name == "trimap mIoU 1 px"
    assert wide.curve == {"width": [1.0, 2.0, 9.0], "miou": [narrow.value, middle.value, wide.value]}
    assert [score.counts["scored pixels"] for score in (narrow, middle, wide)] == [2, 4, 8]


def test_a_wide_band_is_the_whole_image_and_no_edge_is_no_band() -> None:
    truth, predicted = make_map(11, [0, 1, 2], (20, 31)), make_map(12, [0, 1, 2], (20, 31))
    metric, confusion = TrimapIoU(2, (1000,)), Confusion(2)
    metric.update(truth, predicted)
    confusion.update(truth, predicted)
    np.testing.assert_array_equal(metric.confusions()[0], confusion.matrix)
    assert metric.scores()[0].value == pytest.approx(float(np.nanmean(compute_iou(confusion.matrix))))
    plain = TrimapIoU(2)
    plain.update(np.ones((5, 5), np.uint8), np.zeros((5, 5), np.uint8))
    assert all(score.value is None for score in plain.scores())
    assert plain.scores()[0].counts["images"] == 1


def test_edges_of_255_count_but_not_its_pixels() -> None:
    truth = np.array([[1, 1, 1, 255, 255]], np.uint8)
    metric = TrimapIoU(1, (1, 2))
    metric.update(truth, np.array([[0, 1, 1, 1, 0]], np.uint8))
    assert [matrix.tolist() for matrix in metric.confusions()] == [[[0, 0], [0, 1]], [[0, 0], [0, 2]]]


def test_halves_add_up_in_any_order() -> None:
    pairs = [make_pair(seed, [0, 1, 2, 255]) for seed in range(5)]
    whole, left, right = (TrimapIoU(2, (3, 1)) for _ in range(3))
    for truth, predicted in pairs:
        whole.update(truth, predicted)
    for index, (truth, predicted) in reversed(list(enumerate(pairs))):
        (left if index % 2 else right).update(truth, predicted)
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    assert left.scores() == whole.scores()


def test_settings_and_input_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="same settings"):
        TrimapIoU(2).merge(TrimapIoU(2, (1,)))
    for widths in ((), (0,), (float("nan"),)):
        with pytest.raises(ConfigError, match="widths"):
            TrimapIoU(2, widths)
    with pytest.raises(DataError, match="img: ground truth: expected values"):
        TrimapIoU(2).update(np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.uint8), "img")
