from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import seeds_rules as oracle
from wsl.errors import ConfigError, DataError
from wsl.seeds.rules import NO_CLEANING, Cleaning, build_cleaning, build_rule, decide_labels
from wsl.seeds.rules.regions import fill_holes, ignore_borders, remove_small

IDS = (9, 2, 30)
LABELS = st.sampled_from([(1, 1), (5, 6), (7, 7)]).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 0, 2, 9, 9, 9, 255]))
)
EVIDENCES = st.tuples(st.integers(1, 3), st.sampled_from([(1, 1), (4, 5)])).flatmap(
    lambda shape: arrays(
        np.float32,
        (shape[0] + 1, *shape[1]),
        elements=st.sampled_from([0.0, 0.1, 0.2, 0.30000001, 0.5, 1.0]).map(np.float32),
    )
)
REGION_OPTIONS = st.fixed_dictionaries(
    {
        "min_area": st.sampled_from([0.0, 2, 3, 0.1, {9: 4, 2: 0.05}]),
        "small_regions": st.sampled_from(["background", "ignore"]),
        "fill_holes": st.sampled_from([0.0, 1, 4, 0.1]),
    }
)


def clean(evidence: np.ndarray, rule: str = "argmax", **options: Any) -> np.ndarray:
    return decide_labels([evidence], IDS[: len(evidence) - 1], build_rule(rule), build_cleaning(**options))


@settings(max_examples=40, deadline=None)
@given(EVIDENCES)
def test_pixel_corrections_against_the_oracle(evidence: np.ndarray) -> None:
    ids = IDS[: len(evidence) - 1]
    labels = decide_labels([evidence], ids, build_rule("argmax"))
    np.testing.assert_array_equal(clean(evidence, min_confidence=0.5), oracle.confident(labels, evidence, 0.5))
    near = clean(evidence, conflict="ignore", conflict_margin=0.2)
    np.testing.assert_array_equal(near, oracle.conflicts_ignored(labels, evidence, 0.2))
    smaller = oracle.smaller_preferred(labels, evidence[1:] > evidence[:1], ids)
    np.testing.assert_array_equal(clean(evidence, conflict="smaller"), smaller)


@settings(max_examples=60, deadline=None)
@given(LABELS, st.sampled_from([1, 2, 5, 0.1, 1.0]), st.integers(0, 3))
def test_region_corrections_against_the_oracle(labels: np.ndarray, area: float, margin: int) -> None:
    areas = {9: area, 2: 0.0}
    np.testing.assert_array_equal(
        remove_small(labels, areas.__getitem__, 255), oracle.small_removed(labels, areas, 255)
    )
    np.testing.assert_array_equal(fill_holes(labels, area), oracle.holes_filled(labels, area))
    np.testing.assert_array_equal(ignore_borders(labels, margin), oracle.borders_ignored(labels, margin))


def clean_labels(labels: np.ndarray, cleaning: Cleaning) -> np.ndarray:
    """With evidence that bears every label out."""
    evidence = np.stack([labels == each for each in (0, 2, 9)]).astype(np.float32)
    return cleaning(labels, evidence, (2, 9))


@settings(max_examples=60, deadline=None)
@given(LABELS, REGION_OPTIONS)
def test_specks_and_holes_are_gone_after_one_pass(labels: np.ndarray, options: dict[str, Any]) -> None:
    once = clean_labels(labels, build_cleaning(**options))
    np.testing.assert_array_equal(clean_labels(once, build_cleaning(**options)), once)


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(1, 3))
def test_borders_are_gone_after_one_pass(labels: np.ndarray, margin: int) -> None:
    once = clean_labels(labels, Cleaning(ignore_margin=margin))
    np.testing.assert_array_equal(clean_labels(once, Cleaning(ignore_margin=margin)), once)


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_off_is_the_identity(labels: np.ndarray) -> None:
    before = labels.copy()
    labels.flags.writeable = False
    np.testing.assert_array_equal(clean_labels(labels, NO_CLEANING), before)
    np.testing.assert_array_equal(clean_labels(labels, Cleaning(min_area=0, fill_holes=0, ignore_margin=0)), before)
    clean_labels(labels, Cleaning("smaller", 0.1, 0.9, 2, "ignore", 3, 1))  # reads read-only maps


@pytest.mark.parametrize("rule", ["argmax", "relative", "class_thresholds", "sec_cues"])
@pytest.mark.parametrize("conflict", ["ignore", "smaller"])
def test_the_order_of_the_classes_does_not_matter(rule: str, conflict: str) -> None:
    evidence = np.random.default_rng(1).random((4, 12, 11)).astype(np.float32)
    cleaning = Cleaning(conflict, 0.05, 0.3, {2: 4, 9: 3}, "background", 5, 1)
    order = [2, 0, 1]
    mine = decide_labels([evidence], IDS, build_rule(rule), cleaning)
    permuted, ids = evidence[[0, 3, 1, 2]], [IDS[each] for each in order]
    np.testing.assert_array_equal(mine, decide_labels([permuted], ids, build_rule(rule), cleaning))


def test_classes_that_do_not_pass_the_rule_win_no_conflict() -> None:
    background, first = np.zeros((1, 4), np.float32), np.array([[0.9, 0.9, 0.9, 0.0]], np.float32)
    second = np.array([[0.2, 0.5, 0.0, 0.5]], np.float32)
    evidence = np.stack([background, first, second])
    rule = build_rule("class_thresholds", default=0.3)
    labels = decide_labels([evidence], (1, 2), rule, Cleaning(conflict="smaller"))
    assert labels.tolist() == [[1, 2, 1, 2]]  # 0.2 is above the background, but not above the threshold


def test_confidence_is_a_share_of_the_evidence() -> None:
    evidence = np.array([[[9.6, 0.94, 0.0]], [[0.4, 0.06, 0.0]]], np.float32)
    assert clean(evidence, min_confidence=0.95).tolist() == [[0, 255, 255]]  # no evidence, no confidence


def test_holes_with_another_class_and_open_bays_stay() -> None:
    labels = np.full((5, 9), 9, np.uint8)
    labels[1:4, 1:4] = 0
    labels[2, 2] = 2  # an island in the hole
    labels[2, 6], labels[0, 7] = 255, 0  # a hole, a bay at the edge
    filled = fill_holes(labels, 9)
    assert (filled != labels).sum() == 1
    assert filled[2, 6] == 9
    both = clean_labels(labels, Cleaning(min_area=2, fill_holes=9))  # the island goes first, then the hole
    assert (both != 9).sum() == 1


def test_areas_below_one_are_fractions_of_the_image() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[0, :5], labels[5, :4], labels[9, :3] = 9, 9, 2
    cleaned = clean_labels(labels, Cleaning(min_area=0.05))
    assert (cleaned == 9).sum() == 5
    assert not (cleaned == 2).any()
    cleaned = clean_labels(labels, Cleaning(min_area={9: 5}, small_regions="ignore"))
    assert [(cleaned == each).sum() for each in (9, 2, 255)] == [5, 3, 4]


def test_borders_of_what_is_not_decided_are_none() -> None:
    labels = np.array([[9, 9, 9, 0, 0, 0, 255, 0, 255, 9, 9]], np.uint8)
    assert ignore_borders(labels, 1).tolist() == [[9, 9, 255, 255, 0, 0, 255, 0, 255, 9, 9]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_aera": 3}, "labels: unknown option 'min_aera'. Did you mean: min_area"),
        ({"conflict": "smallest"}, "labels.conflict: unknown value 'smallest'. Did you mean: smaller"),
        ({"conflict_margin": -1}, "labels.conflict_margin: expected a number of at least 0"),
        ({"min_confidence": 95}, r"labels.min_confidence: expected a value in \[0, 1\], but got 95"),
        ({"min_area": -1}, "labels.min_area: expected a number of at least 0, but got -1"),
        ({"min_area": float("nan")}, "labels.min_area: expected a number of at least 0"),
        ({"min_area": {300: 1}}, r"labels.min_area: expected class ids in 1\.\.254, but got 300"),
        ({"min_area": {"cat": 1}}, r"labels.min_area: expected class ids in 1\.\.254, but got 'cat'"),
        ({"min_area": "x"}, "labels.min_area: expected a number of at least 0, but got 'x'"),
        ({"small_regions": 255}, "labels.small_regions: unknown value 255"),
        ({"fill_holes": float("inf")}, "labels.fill_holes: expected a number of at least 0"),
        ({"ignore_margin": 1.5}, "labels.ignore_margin: expected whole pixels, at least 0, but got 1.5"),
        ({"ignore_margin": -1}, "labels.ignore_margin: expected whole pixels"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_cleaning(**options)


def test_labels_that_do_not_fit() -> None:
    evidence = np.ones((2, 2, 2), np.float32)
    with pytest.raises(DataError, match="sizes must be equal"):
        Cleaning()(np.zeros((2, 3), np.uint8), evidence, (9,))
    with pytest.raises(DataError, match=r"expected only 0, 255 and the classes \(9,\), but found \[2\]"):
        Cleaning()(np.full((2, 2), 2, np.uint8), evidence, (9,))
    with pytest.raises(DataError, match=r"expected uint8 \(H, W\)"):
        Cleaning()(np.zeros((2, 2), np.int64), evidence, (9,))
    with pytest.raises(DataError, match="passing: expected bool"):
        Cleaning()(np.zeros((2, 2), np.uint8), evidence, (9,), np.ones((2, 2, 2), np.bool_))


def test_no_class_stays_background() -> None:
    cleaning = Cleaning("smaller", 0.1, 0.99, 5, "ignore", 3, 2)
    labels = decide_labels([np.ones((1, 3, 4), np.float32)], (), build_rule("argmax"), cleaning)
    assert not labels.any()


def test_two_views_are_cleaned_by_the_strict_one() -> None:
    strict = np.array([[[0.1, 0.45]], [[0.9, 0.55]]], np.float32)
    labels = decide_labels([strict, strict[::-1]], (9,), build_rule("two_threshold"), Cleaning(min_confidence=0.6))
    assert labels.tolist() == [[9, 255]]


def test_cleanings_are_values() -> None:
    cleaning = build_cleaning(min_area={"3": 5})
    assert pickle.loads(pickle.dumps(cleaning)) == cleaning  # noqa: S301 (our own bytes)
    assert cleaning == Cleaning(min_area={3: 5})
    assert len({cleaning, Cleaning(min_area={3: 5})}) == 1
