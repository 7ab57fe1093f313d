from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.certainty.tables_of_images import (
    NUM_CLASSES,
    box_table,
    histogram_table,
    make_counts,
    make_curves,
    make_histograms,
    segmentation_table,
    sweep_table,
)
from tests.oracles.evaluate_certainty import class_ious, holm, mean, percentile, repeat, swap_p_value
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.detection_table import DetectionTable
from wsl.evaluate.certainty.holm import correct_holm
from wsl.evaluate.certainty.paired import compute_p_value, paired_class_tests, paired_test
from wsl.evaluate.certainty.resampling import Resampling, iterate_draws
from wsl.evaluate.certainty.value_table import ValueTable


def make_other(known: list[dict[int, Any]], seed: int) -> list[dict[int, Any]]:
    """Another prediction for the same truth."""
    generator = np.random.default_rng(seed)
    result = []
    for image in known:
        other = {}
        for class_id, (true, _, _) in image.items():
            predicted = int(generator.integers(0, 9))
            other[class_id] = (true, predicted, int(generator.integers(0, min(true, predicted) + 1)))
        result.append(other)
    return result


def value_table(values: np.ndarray) -> ValueTable:
    count = len(values)
    return ValueTable(tuple(map(str, range(count))), np.arange(count), np.ones(count, np.int64), values)


def score(images: list[dict[int, Any]]) -> float:
    return mean(class_ious(images, NUM_CLASSES, "zero"))


def test_difference_and_interval_of_copied_images() -> None:
    known = make_counts(np.random.default_rng(0), 8)
    other = make_other(known, 1)
    first, second = (segmentation_table(images, absent="zero") for images in (known, other))
    found = paired_test(first, second, replicates=50)
    draws = np.concatenate(list(iterate_draws(8, Resampling(50))))
    differences = [score(repeat(other, times)) - score(repeat(known, times)) for times in draws]
    assert found.first == pytest.approx(score(known))
    assert found.second == pytest.approx(score(other))
    assert found.difference == pytest.approx(score(other) - score(known))
    assert (found.low, found.high) == pytest.approx([percentile(differences, 0.025), percentile(differences, 0.975)])


@pytest.mark.parametrize("seed", range(4))
def test_p_value_is_near_that_of_all_swaps(seed: int) -> None:
    known = make_counts(np.random.default_rng(seed), 7)
    other = make_other(known, seed + 100)
    found = paired_test(*(segmentation_table(images, absent="zero") for images in (known, other)), replicates=3000)
    assert found.test == "swap"
    assert found.p_value == pytest.approx(swap_p_value(known, other, score), abs=0.04)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_turning_the_pair_turns_the_sign(seed: int) -> None:
    known = make_counts(np.random.default_rng(seed), 6)
    first, second = segmentation_table(known), segmentation_table(make_other(known, seed + 1))
    one, other = (paired_test(*pair, replicates=30) for pair in ((first, second), (second, first)))
    assert one.p_value == other.p_value
    if one.difference is not None:
        assert one.difference == -other.difference
        np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low], atol=1e-15)


def test_a_run_does_not_differ_from_itself() -> None:
    generator = np.random.default_rng(5)
    counts = make_counts(generator, 9, 4)
    for table in (
        sweep_table(counts), box_table(make_curves(generator, 9)), histogram_table(make_histograms(generator, 9)),
    ):  # fmt: skip
        for method in ("percentile", "bca"):
            found = paired_test(table, table, replicates=40, method=method)
            assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_clear_difference_is_found_and_the_smallest_p_is_told() -> None:
    found = paired_test(value_table(np.zeros(40)), value_table(np.ones(40)), replicates=99)
    assert (found.difference, found.low, found.high, found.p_value) == (1.0, 1.0, 1.0, 0.01)


def test_order_of_images_does_not_matter() -> None:
    known = make_counts(np.random.default_rng(3), 8)
    first, second = segmentation_table(known), segmentation_table(make_other(known, 4))
    turned = second.select(np.arange(8)[::-1])
    assert paired_test(first, turned, replicates=30) == paired_test(first, second, replicates=30)


def test_common_images_or_a_sentence() -> None:
    known = make_counts(np.random.default_rng(3), 8)
    first, second = segmentation_table(known), segmentation_table(make_other(known, 4))
    part = second.select(np.array([1, 2, 3, 5, 6]))
    with pytest.raises(DataError, match=r"3 are only in the first and 0 only in the second \(image 0 is only"):
        paired_test(first, part)
    found = paired_test(first, part, images="common", replicates=30)
    assert found == paired_test(first.select(np.array([1, 2, 3, 5, 6])), part, replicates=30)
    with pytest.raises(DataError, match="no image in common"):
        paired_test(first.select(np.array([0])), part, images="common")


def test_other_truth_or_settings_are_refused() -> None:
    known = make_counts(np.random.default_rng(3), 8)
    first = segmentation_table(known)
    row = int(np.flatnonzero(first.true)[0])
    changed = replace(first, true=first.true + (np.arange(len(first.true)) == row))
    place = first.image_ids[first.row_image[row]]
    with pytest.raises(DataError, match=f"different ground truth: .* image '{place}', class {first.row_class[row]}"):
        paired_test(first, changed)
    excluded = (replace(table, predicted_ignore="exclude") for table in (first, changed))
    assert paired_test(*excluded, replicates=5).images == 8
    with pytest.raises(ConfigError, match=r"absent \(skip and zero\)"):
        paired_test(first, replace(first, absent="zero"))
    with pytest.raises(ConfigError, match="kind"):
        paired_test(first, value_table(np.zeros(8)))


def test_each_run_keeps_its_own_threshold() -> None:
    """Scores on other scales are best at other thresholds, which is no difference between the runs."""
    known = [{1: np.array([[0.0, 0.9, 0.0, 0.0]] * 2)} for _ in range(12)]
    other = [{1: np.array([[0.0, 0.0, 0.0, 0.9]] * 2)} for _ in range(12)]
    for policy in ("oracle", "oracle_each"):
        tables = (box_table(images, threshold=policy) for images in (known, other))
        found = paired_test(*tables, replicates=50)
        assert (found.difference, found.p_value) == (0.0, 1.0)
    fixed = paired_test(box_table(known, threshold="fixed:0.2"), box_table(other, threshold="fixed:0.7"), replicates=50)
    assert (fixed.first, fixed.second, fixed.p_value) == (1.0, 1.0, 1.0)


def test_pooled_rankings_are_tested_by_bootstrap() -> None:
    known = [{1: image} for image in np.random.default_rng(6).integers(0, 4, (30, 2, 4)) * [1, 1, 1, 0]]
    other = [{1: np.stack([np.sort(image[1][0])[::-1], [0, 0, image[1][1].sum(), 0]])} for image in known]
    found = paired_test(histogram_table(known), histogram_table(other), replicates=200)
    assert found.test == "bootstrap"
    assert found.difference > 0.05
    assert found.p_value < 0.05


def test_classes_are_corrected_together() -> None:
    known = make_counts(np.random.default_rng(9), 10)
    other = make_other(known, 10)
    tables = [segmentation_table(images) for images in (known, other)]
    found = paired_class_tests(*tables, replicates=200)
    assert list(found) == [0, 1, 2, 3]
    ious = [class_ious(images, NUM_CLASSES, "skip") for images in (known, other)]
    for class_id, test in found.items():
        assert test.difference == pytest.approx(ious[1][class_id] - ious[0][class_id])
    corrected = [test.corrected_p for test in found.values()]
    assert corrected == pytest.approx(holm([test.p_value for test in found.values()]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_agrees_with_stepping_down(p_values: list[float]) -> None:
    assert correct_holm(p_values) == holm(p_values)


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert correct_holm([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]
    assert correct_holm([]) == []


def test_p_value_counts_the_observed_world_and_skips_undefined_ones() -> None:
    assert compute_p_value(-0.5, np.array([0.5, 0.1, np.nan, -0.6])) == 3 / 4
    assert compute_p_value(0.3, np.array([0.1 + 0.2, 0.0])) == 2 / 3  # equal but for rounding


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_methods_are_told_apart_at_the_level_only(seed: int) -> None:
    """Two predictions drawn alike for each of 40 images: at most about 5 % of 400 pairs have p <= 0.05."""
    generator = np.random.default_rng(seed)
    alarms = 0
    for trial in range(400):
        true = generator.integers(50, 400, 40)
        hardness = generator.beta(3, 2, 40)
        runs = []
        for _ in range(2):
            share = np.clip(hardness + generator.normal(0, 0.15, 40), 0, 1)
            hit = (true * share).astype(np.int64)
            predicted = hit + generator.integers(0, 150, 40)
            runs.append(segmentation_table([{1: row} for row in zip(true, predicted, hit, strict=True)]))
        alarms += paired_test(*runs, replicates=300, seed=trial).p_value <= 0.05
    assert 0.02 <= alarms / 400 <= 0.08


def detections(hit: bool, extra_class: int | None = None) -> DetectionTable:
    """40 images with one object each; class 2 in the last one alone; `extra_class` is predicted but never true."""
    images, classes = np.arange(40), np.array([1] * 39 + [2])
    hits = np.array([True] * 39 + [hit])
    more = 0 if extra_class is None else 1
    return DetectionTable(
        image_ids=tuple(f"i{index:02d}" for index in images),
        row_image=np.concatenate([images, np.zeros(more, np.int64)]),
        row_class=np.concatenate([classes, np.full(more, extra_class or 0, np.int64)]),
        score=np.full(40 + more, 0.5),
        hit=np.concatenate([hits, np.zeros(more, np.bool_)]),
        true_image=images,
        true_class=classes,
        true_count=np.ones(40, np.int64),
    )


def test_a_class_of_one_image_is_not_decided_by_the_bootstrap() -> None:
    found = paired_class_tests(detections(True), detections(False), replicates=200)[2]
    assert (found.test, found.difference) == ("bootstrap", -1.0)
    assert (found.low, found.high, found.p_value, found.corrected_p) == (None, None, None, None)


def test_classes_that_one_run_alone_predicts_are_in_no_mean() -> None:
    found = paired_class_tests(detections(True), detections(True, extra_class=5), replicates=50)
    assert sorted(found) == [1, 2]
    both = (replace(detections(True, extra), class_mean="truth_or_predicted") for extra in (5, 7))
    with pytest.raises(DataError, match="scores of different classes"):
        paired_class_tests(*both, replicates=50)
