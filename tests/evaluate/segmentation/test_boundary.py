from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_boundary import boundary_by_erosion, boundary_by_window, boundary_counts
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.boundary import BoundaryIoU, compute_boundary_width, find_boundary
from wsl.types import ClassSet


def make_map(seed: int, values: list[int], size: tuple[int, int] | None = None) -> np.ndarray:
    """Blocks of labels, so that there is something beside boundaries."""
    generator = np.random.default_rng(seed)
    height, width = size or generator.integers(1, 26, 2)
    coarse = generator.choice(np.array(values, np.uint8), (height // 6 + 1, width // 6 + 1))
    return np.kron(coarse, np.ones((6, 6), np.uint8))[:height, :width]


def make_pair(seed: int, values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    truth = make_map(seed, values)
    return truth, make_map(seed + 1, values, truth.shape)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), width=st.integers(1, 4))
def test_all_classes_at_once_are_the_erosions_of_each(seed: int, width: int) -> None:
    label_map = make_map(seed, [0, 1, 2, 254, 255])
    boundary = find_boundary(label_map, width)
    for label in np.unique(label_map):
        mask = label_map == label
        np.testing.assert_array_equal(boundary & mask, boundary_by_erosion(mask, width))
        np.testing.assert_array_equal(boundary & mask, boundary_by_window(mask, width))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), width=st.integers(1, 4))
def test_ignored_void_is_no_second_label(seed: int, width: int) -> None:
    label_map = make_map(seed, [0, 3, 255, 255])
    boundary = find_boundary(label_map, width, "ignore")
    for label in (0, 3):
        mask, allowed = label_map == label, (label_map == label) | (label_map == 255)
        np.testing.assert_array_equal(boundary & mask, boundary_by_erosion(allowed, width) & mask)


def test_touching_classes_keep_their_own_label() -> None:
    """Two rectangles of 33x15 pixels, labels 3 and 5, side by side: subtracting an eroded label map leaves a label 2
    that is in no map, and 342 pixels of the classes where their boundary regions have 504."""
    label_map = np.zeros((60, 60), np.uint8)
    label_map[10:43, 10:25], label_map[10:43, 25:40] = 3, 5
    padded = cv2.copyMakeBorder(label_map, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    subtracted = label_map - cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=3)[1:-1, 1:-1]
    assert set(np.unique(subtracted)) == {0, 2, 3, 5}
    assert int(np.isin(subtracted, [3, 5]).sum()) == 342
    boundary = np.where(find_boundary(label_map, 3), label_map, 0)
    assert set(np.unique(boundary)) == {0, 3, 5}
    assert int((boundary > 0).sum()) == 504
    assert sum(int(boundary_by_erosion(label_map == label, 3).sum()) for label in (3, 5)) == 504


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 9),
    ratio=st.sampled_from([0.02, 0.1, 0.3]),
    policy=st.sampled_from(["background", "exclude"]),
)
def test_counts_agree_with_each_class_alone(seed: int, ratio: float, policy: str) -> None:
    pairs = [make_pair(seed + index, [0, 1, 2, 255]) for index in (0, 3)]
    metric, total = BoundaryIoU(3, ratio, predicted_ignore=policy), np.zeros((4, 2), np.int64)
    for truth, predicted in pairs:
        metric.update(truth, predicted)
        total += boundary_counts(truth, predicted, 3, compute_boundary_width(truth.shape, ratio), policy)
    (score,) = metric.scores()
    for index, (both, either) in enumerate(total.tolist()):
        assert score.per_class[f"class {index}"]["iou"] == (both / either if either else None)


def test_width_of_the_region() -> None:
    assert compute_boundary_width((366, 500)) == 12  # 619.6 * 0.02
    assert compute_boundary_width((1, 1)) == 1
    assert compute_boundary_width((30, 40), 0.1) == 5


def test_hand_worked_shift() -> None:
    """A 4x4 square of class 1 moved by one pixel in a 10x10 image, region 1 pixel wide (ratio 0.02)."""
    truth, predicted = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    truth[3:7, 3:7], predicted[3:7, 4:8] = 1, 1
    metric = BoundaryIoU(1)
    metric.update(truth, predicted)
    (score,) = metric.scores(ClassSet(("cat",)))
    # rings of 12 pixels share three pixels above and three below: 6 of 18
    assert score.per_class["cat"]["iou"] == pytest.approx(6 / 18)
    assert score.value == pytest.approx((score.per_class["background"]["iou"] + 6 / 18) / 2)
    assert metric.scores(background="exclude")[0].value == pytest.approx(6 / 18)


def test_the_rule_for_255_is_named_and_matters() -> None:
    truth = np.zeros((9, 9), np.uint8)
    truth[:, 5:] = 255
    values = {}
    for void in ("boundary", "ignore"):
        metric = BoundaryIoU(1, void=void)
        metric.update(truth, np.zeros_like(truth))
        (score,) = metric.scores()
        values[score.conventions["ground truth 255"]] = score.value
    # image frame in the five scored columns: 5 + 5 + 7 pixels; column 4 is a boundary only beside a 255 that makes one
    assert values == {"not scored, makes a boundary": 17 / 24, "not scored, makes no boundary": 1.0}


def test_perfect_empty_and_unscored_maps() -> None:
    truth = make_map(4, [0, 1, 2, 255], (20, 31))
    metric = BoundaryIoU(2, predicted_ignore="exclude")
    metric.update(truth, truth)
    assert metric.scores()[0].value == 1.0
    assert BoundaryIoU(2).scores()[0].value is None
    metric = BoundaryIoU(2)
    metric.update(np.full((3, 3), 255, np.uint8), np.ones((3, 3), np.uint8))
    metric.update(np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8))
    assert metric.scores()[0].value is None


def test_halves_add_up_in_any_order() -> None:
    pairs = [make_pair(seed, [0, 1, 2, 255]) for seed in range(5)]
    whole, left, right = (BoundaryIoU(2, 0.05) for _ in range(3))
    for truth, predicted in pairs:
        whole.update(truth, predicted)
    for index, (truth, predicted) in reversed(list(enumerate(pairs))):
        (left if index % 2 else right).update(truth, predicted)
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    assert left.scores() == whole.scores()


def test_settings_and_input_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="same settings"):
        BoundaryIoU(2).merge(BoundaryIoU(2, 0.1))
    with pytest.raises(ConfigError, match="void: expected one of boundary, ignore"):
        BoundaryIoU(2, void="ignored")
    with pytest.raises(ConfigError, match="ratio"):
        BoundaryIoU(2, 0)
    with pytest.raises(ConfigError, match="width"):
        find_boundary(np.zeros((2, 2), np.uint8), 0)
    with pytest.raises(DataError, match="img: prediction is 2x2"):
        BoundaryIoU(2).update(np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint8), "img")
    with pytest.raises(DataError, match="img: prediction: expected values"):
        BoundaryIoU(2).update(np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8), "img")
