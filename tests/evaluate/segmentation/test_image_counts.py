from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.segmentation.test_boundary import make_pair
from wsl.errors import ConfigError, DataError
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.metrics.label_map_metrics import make_segmentation_table
from wsl.evaluate.segmentation.confusion import Confusion, compute_confusion, compute_iou
from wsl.evaluate.segmentation.image_counts import ImageCounter, ImageCounts
from wsl.evaluate.segmentation.image_scores import compute_image_ious, compute_image_mious, image_score
from wsl.types import ClassSet

CLASSES = ClassSet(("a", "b", "c"))


def count_images(pairs: list[tuple[np.ndarray, np.ndarray]], policy: str = "background") -> ImageCounts:
    counter = ImageCounter(3, policy)
    for index, (truth, predicted) in enumerate(pairs):
        counter.update(truth, predicted, f"image {index}")
    return counter.counts()


def assert_equal(first: ImageCounts, second: ImageCounts) -> None:
    for field in dataclasses.fields(ImageCounts):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), field.name)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 99), policy=st.sampled_from(["background", "exclude"]))
def test_any_weighting_is_the_confusion_of_images_taken_so_often(seed: int, policy: str) -> None:
    pairs = [make_pair(seed + 9 * index, [0, 1, 2, 255]) for index in range(4)]
    counts = count_images(pairs, policy)
    weights = np.random.default_rng(seed).integers(0, 3, (2, 3, 4))
    table = make_segmentation_table(counts, MetricSettings(CLASSES))
    sums = np.moveaxis(table.sums(weights.reshape(6, 4)).reshape(2, 3, 4, 3), -1, 0)
    for place in np.ndindex(2, 3):
        confusion = Confusion(3, policy)
        for (truth, predicted), weight in zip(pairs, weights[place], strict=True):
            for _ in range(weight):
                confusion.update(truth, predicted)
        expected = (confusion.matrix.sum(1), confusion.matrix.sum(0), np.diagonal(confusion.matrix))
        for values, wanted in zip(sums, expected, strict=True):
            np.testing.assert_array_equal(values[place], wanted)
    whole = Confusion(3, policy)
    for pair in pairs:
        whole.update(*pair)
    np.testing.assert_array_equal(table.measure_classes(np.ones((1, 4)))[0], compute_iou(whole.matrix))


def test_rows_are_the_classes_that_occur() -> None:
    truth, predicted = np.array([[0, 0, 2, 255]], np.uint8), np.array([[0, 3, 2, 1]], np.uint8)
    counts = count_images([(truth, predicted), (np.full((2, 1), 255, np.uint8), np.zeros((2, 1), np.uint8))])
    assert counts.image_ids == ("image 0", "image 1")
    assert counts.sizes.tolist() == [[1, 4], [2, 1]]
    assert counts.row_image.tolist() == [0, 0, 0]
    assert counts.row_class.tolist() == [0, 2, 3]
    rows = (counts.true.tolist(), counts.predicted.tolist(), counts.hit.tolist())
    assert rows == ([2, 1, 0], [1, 1, 1], [1, 1, 0])
    assert {values.dtype for values in (counts.true, counts.predicted, counts.hit, counts.row_image)} == {
        np.dtype("i8")
    }


def test_counters_and_records_join_in_any_order() -> None:
    pairs = [make_pair(seed, [0, 1, 2, 255]) for seed in range(7)]
    whole, left, right = count_images(pairs), ImageCounter(3), ImageCounter(3)
    for index, pair in reversed(list(enumerate(pairs))):
        (left if index % 3 else right).update(*pair, f"image {index}")
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    assert_equal(left.counts(), whole)
    right.merge(ImageCounter(3))
    assert ImageCounter(3).counts().sizes.shape == (0, 2)


def test_per_image_iou_is_that_of_each_image() -> None:
    pairs = [make_pair(seed, [0, 1, 2, 255]) for seed in range(6)]
    counts = count_images(pairs)
    for absent in ("skip", "zero", "ground_truth"):
        expected = np.array([compute_iou(compute_confusion(*pair, 3), absent) for pair in pairs])
        np.testing.assert_array_equal(compute_image_ious(counts, absent), expected)
        kept = expected[~np.isnan(expected).all(axis=1)]
        score = image_score(counts, absent=absent)
        assert score.value == pytest.approx(np.nanmean([np.nanmean(row) for row in kept]))
        assert score.conventions["absent classes"] == absent


def test_a_perfect_large_object_and_a_missed_small_one() -> None:
    """Dataset mIoU and per-image mIoU tell different stories of the same maps."""
    large, small = np.ones((50, 50), np.uint8), np.zeros((50, 50), np.uint8)
    small[0, 0] = 1
    counts = count_images([(large, large), (small, np.zeros_like(small))])
    whole = make_segmentation_table(counts, MetricSettings(CLASSES)).measure_classes(np.ones((1, 2)))[0]
    np.testing.assert_allclose(whole[:2], [2499 / 2500, 2500 / 2501])
    np.testing.assert_allclose(compute_image_mious(counts), [1.0, (2499 / 2500 + 0) / 2])
    names = CLASSES
    values = {
        averaging: image_score(counts, names, averaging=averaging) for averaging in ("images", "pairs", "classes")
    }
    background = 2499 / 2500
    assert values["images"].value == pytest.approx((1 + background / 2) / 2)
    assert values["pairs"].value == pytest.approx((1 + background + 0) / 3)
    assert values["classes"].value == pytest.approx((background + 1 / 2) / 2)
    assert values["pairs"].per_class["a"] == {"iou": 0.5}
    assert values["pairs"].counts == {"images": 2, "image-class pairs": 3}
    for averaging in ("images", "pairs", "classes"):
        assert image_score(counts, None, "skip", "exclude", averaging).value == 0.5


@pytest.mark.parametrize("background", ["include", "exclude"])
def test_agrees_with_torchmetrics(background: str) -> None:
    torch = pytest.importorskip("torch")
    mean_iou = pytest.importorskip("torchmetrics.functional.segmentation").mean_iou
    generator = np.random.default_rng(5)
    pairs = [tuple(generator.choice(np.arange(4, dtype=np.uint8), (2, 6, 5))) for _ in range(5)]
    theirs = [
        float(
            mean_iou(
                *(torch.from_numpy(each.astype(np.int64))[None] for each in (predicted, truth)),
                num_classes=4,
                include_background=background == "include",
                input_format="index",
            )
        )
        for truth, predicted in pairs
    ]
    np.testing.assert_allclose(compute_image_mious(count_images(pairs), "skip", background), theirs, rtol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    pair = make_pair(0, [0, 1])
    counter = ImageCounter(3)
    counter.update(*pair, "a")
    with pytest.raises(DataError, match="image 'a': expected a different id"):
        counter.update(*pair, "a")
    with pytest.raises(DataError, match="image 'a'"):
        counter.merge(counter)
    with pytest.raises(ConfigError, match="Only equal counters"):
        counter.merge(ImageCounter(2))
    with pytest.raises(ConfigError, match="Only equal counters"):
        counter.merge(ImageCounter(3, "exclude"))
    with pytest.raises(DataError, match="weights"):
        make_segmentation_table(counter.counts(), MetricSettings(CLASSES)).measure([[1, 2]])
    with pytest.raises(ConfigError, match="averaging"):
        image_score(counter.counts(), averaging="image")
