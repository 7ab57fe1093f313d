from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_confusion import confusion_by_pixel, iou_by_class
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.confusion import (
    Confusion,
    compute_activation_errors,
    compute_confusion,
    compute_coverage,
    compute_iou,
    compute_iou_of_counts,
    compute_pixel_accuracy,
    compute_precision,
    compute_recall,
    count_pairs,
)


def make_maps(seed: int, num_classes: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = np.array([*range(num_classes + 1), 255], np.uint8)
    return generator.choice(values, size), generator.choice(values, size)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.sampled_from([1, 3, 80, 254]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    policy=st.sampled_from(["background", "exclude"]),
)
def test_agrees_with_counting_pixel_by_pixel(seed: int, num_classes: int, size: tuple[int, int], policy: str) -> None:
    truth, predicted = make_maps(seed, num_classes, size)
    confusion = Confusion(num_classes, policy)
    confusion.update(truth, predicted)
    expected, excluded = confusion_by_pixel(truth, predicted, num_classes, policy)
    assert confusion.matrix.tolist() == expected
    assert confusion.excluded.tolist() == excluded
    assert confusion.unsure.tolist() == confusion_by_pixel(truth, predicted, num_classes, "exclude")[1]
    assert confusion.matrix.dtype == np.int64
    assert confusion.matrix.sum() + confusion.excluded.sum() + confusion.dropped == truth.size
    assert compute_confusion(truth, predicted, num_classes, policy).tolist() == expected


@pytest.mark.parametrize("absent", ["skip", "zero", "ground_truth"])
def test_iou_agrees_with_the_definition(absent: str) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        confusion = generator.integers(0, 3, (5, 5)) * generator.integers(0, 2, (5, 1)) * generator.integers(0, 2, 5)
        np.testing.assert_allclose(compute_iou(confusion, absent), iou_by_class(confusion, absent), rtol=1e-15)


def test_the_policies_for_absent_classes_differ_as_documented() -> None:
    # class 1 is right, class 2 only predicted, class 3 in neither
    confusion = np.array([[4, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    nan = float("nan")
    np.testing.assert_array_equal(compute_iou(confusion, "skip"), [4 / 6, 1, 0, nan])
    np.testing.assert_array_equal(compute_iou(confusion, "ground_truth"), [4 / 6, 1, nan, nan])
    np.testing.assert_array_equal(compute_iou(confusion, "zero"), [4 / 6, 1, 0, 0])


def test_hand_worked_measures() -> None:
    confusion = np.array([[6, 2], [1, 3]])
    np.testing.assert_allclose(compute_iou(confusion), [6 / 9, 3 / 6])
    np.testing.assert_allclose(compute_precision(confusion), [6 / 7, 3 / 5])
    np.testing.assert_allclose(compute_recall(confusion), [6 / 8, 3 / 4])
    over, under = compute_activation_errors(confusion)
    np.testing.assert_allclose(over, [1 / 9, 2 / 6])
    np.testing.assert_allclose(under, [2 / 9, 1 / 6])
    assert compute_pixel_accuracy(confusion) == 9 / 12
    assert compute_coverage(np.array([11, 5]), np.array([3, 1])) == 12 / 16


def test_nothing_counted_is_undefined_not_an_error() -> None:
    empty = np.zeros((3, 3), np.int64)
    assert np.isnan(compute_iou(empty)).all()
    assert compute_pixel_accuracy(empty) is None
    assert compute_coverage(np.zeros(3, np.int64), np.zeros(3, np.int64)) is None


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.sampled_from([1, 254]),
    size=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    turned=st.booleans(),
)
def test_pairs_are_counted_one_by_one(seed: int, num_classes: int, size: tuple[int, int], turned: bool) -> None:
    truth, predicted = make_maps(seed, num_classes, size)
    if turned:  # neither contiguous nor with positive strides
        truth, predicted = truth[::-1].T, predicted[::-1].T
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, (truth.ravel(), predicted.ravel()), 1)
    pairs = count_pairs(truth, predicted)
    assert pairs.dtype == np.int64
    np.testing.assert_array_equal(pairs, expected)


def test_pairs_of_a_map_beyond_the_exact_range_of_float32() -> None:
    """2^24 + 3 pixels of one pair: a float32 counter would stop at 2^24."""
    truth = np.full((1, 2**24 + 3), 7, np.uint8)
    pairs = count_pairs(truth, truth)
    assert (pairs[7, 7], pairs.sum()) == (2**24 + 3, 2**24 + 3)


def test_iou_of_counts_takes_any_number_of_axes() -> None:
    matrices = np.random.default_rng(3).integers(0, 9, (2, 3, 4, 4)) * np.array([1, 0, 1, 1])
    counts = matrices.sum(-1), matrices.sum(-2), np.diagonal(matrices, axis1=-2, axis2=-1)
    for absent in ("skip", "zero", "ground_truth"):
        together = compute_iou_of_counts(*counts, absent)
        for place in np.ndindex(2, 3):
            np.testing.assert_array_equal(together[place], iou_by_class(matrices[place], absent))


def test_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    jaccard = pytest.importorskip("torchmetrics.classification").MulticlassJaccardIndex
    theirs, ours = jaccard(5, average="none", ignore_index=255), Confusion(4)
    for seed in range(4):
        truth, predicted = make_maps(seed, 4, (9, 7))
        predicted[predicted == 255] = 0  # torchmetrics has no rule for these
        ours.update(truth, predicted)
        theirs.update(*(torch.from_numpy(each.astype(np.int64)) for each in (predicted, truth)))
    np.testing.assert_allclose(compute_iou(ours.matrix), theirs.compute().numpy(), rtol=1e-6)


def test_many_small_confusions_make_the_big_one() -> None:
    maps = [make_maps(seed, 4, (7, 5)) for seed in range(6)]
    whole, left, right = (Confusion(4, "exclude") for _ in range(3))
    for index, (truth, predicted) in enumerate(maps):
        whole.update(truth, predicted)
        (left if index < 2 else right).update(truth, predicted)
    both = left + right
    assert both.matrix.tolist() == whole.matrix.tolist()
    assert both.excluded.tolist() == whole.excluded.tolist()
    assert both.unsure.tolist() == whole.unsure.tolist()
    assert whole.unsure.any()
    assert (both.images, both.dropped) == (whole.images, whole.dropped)
    assert left.images == 2


def test_counts_beyond_32_bits_do_not_wrap() -> None:
    confusion = Confusion(1)
    pairs = np.zeros((256, 256), np.int64)
    pairs[0, 0] = 2**31 - 1
    for _ in range(3):
        confusion.update_pairs(pairs, 1)
    assert confusion.matrix[0, 0] == 3 * (2**31 - 1)


def test_a_size_that_does_not_match_is_refused() -> None:
    with pytest.raises(DataError, match="img: prediction is 2x3 but ground truth is 3x2"):
        Confusion(1).update(np.zeros((3, 2), np.uint8), np.zeros((2, 3), np.uint8), "img")


@pytest.mark.parametrize("where", ["ground truth", "prediction"])
def test_a_value_outside_is_named(where: str) -> None:
    good, bad = np.zeros((2, 2), np.uint8), np.array([[0, 0], [7, 7]], np.uint8)
    pair = (bad, good) if where == "ground truth" else (good, bad)
    with pytest.raises(DataError, match=rf"{where}: expected values 0\.\.2 and 255, but found 7 \(2 pixels\)"):
        compute_confusion(*pair, num_classes=2)


def test_a_predicted_255_can_be_an_error() -> None:
    unsure = np.array([[255, 0]], np.uint8)
    with pytest.raises(DataError, match="1 scored pixels of value 255"):
        compute_confusion(np.zeros((1, 2), np.uint8), unsure, 1, "error")
    assert compute_confusion(unsure, unsure, 1, "error").tolist() == [[1, 0], [0, 0]]


def test_unknown_policies_and_other_types_are_refused() -> None:
    label_map = np.zeros((1, 1), np.uint8)
    with pytest.raises(ConfigError, match="predicted_ignore: expected one of background, exclude, error"):
        compute_confusion(label_map, label_map, 1, "exlude")
    with pytest.raises(ConfigError, match="absent"):
        compute_iou(np.zeros((2, 2), np.int64), "none")
    with pytest.raises(DataError, match="expected uint8"):
        compute_confusion(label_map.astype(np.int32), label_map, 1)
    with pytest.raises(ConfigError, match="Only equal confusions"):
        Confusion(1).merge(Confusion(2))
