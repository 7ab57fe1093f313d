from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.certainty.tables_of_images import (
    COLUMNS,
    NUM_CLASSES,
    THRESHOLDS,
    make_counts,
    segmentation_table,
    sweep_table,
)
from tests.oracles.evaluate_certainty import at_threshold, best_column, class_ious, mean, repeat, sweep_curve
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.sweep_table import SweepTable
from wsl.evaluate.segmentation.confusion import ABSENT, Confusion, compute_iou, compute_iou_of_counts, count_marginals
from wsl.evaluate.segmentation.image_counts import ImageCounter
from wsl.evaluate.segmentation.sweep import BackgroundSweep


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 6),
    absent=st.sampled_from(ABSENT),
    background=st.sampled_from(["include", "exclude"]),
)
def test_miou_of_copied_images(seed: int, images: int, absent: str, background: str) -> None:
    generator = np.random.default_rng(seed)
    known = make_counts(generator, images)
    table = segmentation_table(known, absent=absent, background=background)
    weights = generator.integers(0, 3, (5, images))
    for row, times in enumerate(weights):
        ious = class_ious(repeat(known, times), NUM_CLASSES, absent)
        np.testing.assert_array_equal(table.measure_classes(weights)[row], ious)
        wanted = mean(ious[1:] if background == "exclude" else ious)
        np.testing.assert_allclose(table.measure(weights)[row], wanted, rtol=1e-14)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 6), absent=st.sampled_from(ABSENT))
def test_sweep_under_each_way_to_choose(seed: int, images: int, absent: str) -> None:
    generator = np.random.default_rng(seed)
    known = make_counts(generator, images, COLUMNS)
    weights = generator.integers(0, 3, (4, images))
    on_whole = best_column(np.round(sweep_curve(known, NUM_CLASSES, absent, COLUMNS), 12))
    for row, times in enumerate(weights):
        copies = repeat(known, times)
        curve = sweep_curve(copies, NUM_CLASSES, absent, COLUMNS)
        for policy, column in (("fixed:0.2", 1), ("oracle", on_whole), ("oracle_each", best_column(curve))):
            table = sweep_table(known, threshold=policy, absent=absent)
            np.testing.assert_allclose(table.measure(weights)[row], curve[column], rtol=1e-12)
        ious = class_ious(at_threshold(copies, on_whole), NUM_CLASSES, absent)
        found = sweep_table(known, threshold="oracle", absent=absent).measure_classes(weights)[row]
        np.testing.assert_array_equal(found, ious)


def test_sweep_classes_are_measured_at_the_threshold_of_the_whole() -> None:
    """Threshold 0.1 is right for class 1, 0.7 for class 2; image weights decide which is better on the whole."""
    known = [
        {1: (8, np.array([8, 8, 8, 8]), np.array([8, 0, 0, 0]))},
        {2: (8, np.array([8, 8, 8, 8]), np.array([0, 0, 0, 8]))},
    ]
    table = sweep_table(known, threshold="oracle_each")
    weights = [[2, 0], [0, 2]]
    np.testing.assert_array_equal(table.measure(weights), [1, 1])
    np.testing.assert_array_equal(
        table.measure_classes(weights), [[np.nan, 1, np.nan, np.nan], [np.nan, np.nan, 1, np.nan]]
    )
    assert sweep_table(known, threshold="oracle").chosen == 0


@pytest.mark.parametrize("predicted_ignore", ["background", "exclude"])
def test_value_is_that_of_the_accumulator(predicted_ignore: str) -> None:
    generator = np.random.default_rng(3)
    confusion, counter = (kind(NUM_CLASSES, predicted_ignore) for kind in (Confusion, ImageCounter))
    for index in range(5):
        truth, found = generator.choice(np.array([0, 1, 2, 3, 255], np.uint8), (2, 7, 5))
        confusion.update(truth, found)
        counter.update(truth, found, f"image {index}")
    counts = counter.counts()
    table = SegmentationTable(
        counts.image_ids, counts.row_image, counts.row_class, counts.true, counts.predicted, counts.hit, NUM_CLASSES,
        predicted_ignore=predicted_ignore,
    )  # fmt: skip
    np.testing.assert_array_equal(table.measure_classes(np.ones((1, 5)))[0], compute_iou(confusion.matrix))
    assert (table.truth() is None) == (predicted_ignore == "exclude")


def test_value_is_that_of_the_sweep() -> None:
    generator = np.random.default_rng(6)
    sweep = BackgroundSweep(NUM_CLASSES, THRESHOLDS, keep_images=True)
    for index in range(4):
        truth = generator.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 5))
        sweep.update(generator.random((2, 6, 5)).astype(np.float32), [1, 3], truth, f"image {index}")
    kept, best = sweep.image_curves(), sweep.best()
    table = SweepTable(
        kept.image_ids, kept.row_image, kept.row_class, kept.true, kept.predicted, kept.hit,
        np.array(kept.thresholds), NUM_CLASSES,
    )  # fmt: skip
    assert table.thresholds[table.chosen] == best.threshold["value"]
    assert table.measure(np.ones((1, 4)))[0] == pytest.approx(best.value, rel=1e-14)


def test_iou_of_sums_follows_the_policies_of_the_confusion() -> None:
    matrix = np.array([[5, 1, 0, 0], [2, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    matrix[0, 3] = 2
    sums = [column.astype(float) for column in count_marginals(matrix)]
    for absent in ABSENT:
        np.testing.assert_array_equal(compute_iou_of_counts(*sums, absent), compute_iou(matrix, absent))


def test_subset_and_pickle_keep_the_numbers() -> None:
    known = make_counts(np.random.default_rng(5), 6, COLUMNS)
    table = sweep_table(known, threshold="oracle_each")
    part = table.select(np.array([4, 0, 3]))
    assert part.image_ids == ("image 4", "image 0", "image 3")
    weights = np.array([[1, 0, 0, 2, 3, 0]])
    np.testing.assert_array_equal(part.measure(weights[:, [4, 0, 3]]), table.measure(weights))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(table)).measure(weights), table.measure(weights))  # noqa: S301


def make_table(**changes: object) -> SegmentationTable:
    two = np.array([0, 1])
    arguments = {"row_image": two, "row_class": two, "true": two, "predicted": two, "hit": two, "num_classes": 1}
    return SegmentationTable(image_ids=("a", "b"), **(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_image": np.array([0, 2])}, r"row_image: expected \(R,\) image positions in 0\.\.1"),
        ({"row_image": np.array([0, -1])}, "row_image: expected integers of at least 0"),
        ({"row_class": np.array([0, 2])}, r"expected classes 0\.\.1, but found 2"),
        ({"hit": np.array([0, 2])}, "hits of at most the true"),
        ({"hit": np.array([0])}, "hit: expected one entry for each of 2 rows"),
        ({"true": np.array([0.0, 1.0])}, "true: expected integers"),
    ],
)
def test_rows_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_table(**changes)


def test_settings_and_weights_are_checked() -> None:
    with pytest.raises(ConfigError, match="absent: expected one of"):
        make_table(absent="skipp")
    with pytest.raises(DataError, match="at least one image"):
        replace(make_table(), image_ids=())
    with pytest.raises(DataError, match="different image ids, but 'a' appears 2 times"):
        replace(make_table(), image_ids=("a", "a"))
    for weights in ([1, 1], [[1, 1, 1]], [[1, -1]], [[1, np.nan]]):
        with pytest.raises(DataError, match=r"weights: expected \(B, 2\)"):
            make_table().measure(weights)


@pytest.mark.parametrize("text", ["fixed", "fixed:x", "fixed:nan", "orakel"])
def test_unknown_threshold_policies_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="threshold: expected one of"):
        sweep_table(make_counts(np.random.default_rng(0), 2, COLUMNS), threshold=text)


def test_thresholds_must_be_in_the_table() -> None:
    known = make_counts(np.random.default_rng(0), 2, COLUMNS)
    with pytest.raises(DataError, match=r"threshold 0\.3 is not in the table; expected one of its 4 .* 0\.1 to 0\.7"):
        sweep_table(known, threshold="fixed:0.3")
    assert sweep_table(known, threshold=f"fixed:{np.float32(THRESHOLDS[3])}").chosen == 3
