"""Signals of classes and regions against a literal computation pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import quality_signals as oracle
from wsl.errors import DataError
from wsl.export.region_masks import iterate_masks
from wsl.quality.agreement import align_levels, compute_scale_agreement
from wsl.quality.planes import compute_certainty, compute_margin
from wsl.quality.regions import as_one_region, find_regions
from wsl.quality.signals import ClassSignals, Evidence, Signals

SIZES = st.tuples(st.integers(1, 8), st.integers(1, 8))


def make_evidence(seed: int, size: tuple[int, int], classes: int = 2) -> Evidence:
    rng = np.random.default_rng(seed)
    scores = rng.random((classes, *size)).astype(np.float32)
    ids = tuple(range(2, 2 + classes))
    label_map = rng.choice(np.array([0, *ids, 255], np.uint8), size)
    levels = tuple(rng.normal(size=(classes, *each)).astype(np.float32) for each in ((2, 3), (1, 2), (4, 4)))
    known = rng.random(classes).astype(np.float32)
    background = np.full(size, 0.4, np.float32)
    return Evidence(str(seed), scores, ids, background, label_map, (levels,), known, 1 - known)


def literal(evidence: Evidence, row: int, region: oracle.Region, before: list[oracle.Region]) -> Signals:
    """The signals of one region, from the pixels that it has."""
    size = evidence.label_map.shape
    scores, background = evidence.scores, evidence.background
    planes = align_levels([level[row] for level in evidence.levels[0]], size)
    pairs = [oracle.soft_iou(planes[i], planes[j], region) for i, j in ((0, 1), (0, 2), (1, 2))]
    margins = {place: oracle.margin_at(scores, background, row, place) for place in region}
    return Signals(
        score=oracle.mean_over([float(scores[row][place]) for place in region]),
        margin=oracle.mean_over(list(margins.values())),
        border_margin=oracle.mean_over([margins[place] for place in oracle.border_of(region, size)]),
        certainty=oracle.mean_over([oracle.certainty_at(scores, background, place) for place in region]),
        mass=sum(float(scores[row][place]) for place in region) / float(scores[row].sum(dtype=np.float64)),
        scale_agreement=oracle.mean_over([pair for pair in pairs if not math.isnan(pair)]),
        flip_agreement=float(evidence.flip_agreement[row]),
        refinement_agreement=max((oracle.iou_of(region, other) for other in before), default=0.0),
        probability=float(evidence.probabilities[row]),
        area=len(region) / evidence.label_map.size,
        compactness=oracle.compactness_of(region),
        largest_share=1.0,
    )


def check_equal(found: Signals, expected: Signals) -> None:
    for name, value in asdict(expected).items():
        assert asdict(found)[name] == pytest.approx(value, abs=1e-5, nan_ok=True), name


def unrefined(evidence: Evidence, class_id: int) -> np.ndarray:
    """Where the class beats the background and all other classes."""
    scores = evidence.scores
    winner = np.array(evidence.class_ids)[scores.argmax(0)]
    return (scores.max(0) > evidence.background) & (winner == class_id)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES, st.integers(1, 3))
def test_signals_equal_loops(seed: int, size: tuple[int, int], classes: int) -> None:
    evidence = make_evidence(seed, size, classes)
    for row, class_id in enumerate(evidence.class_ids):
        signals = ClassSignals(evidence, class_id)
        before = oracle.regions_by_flooding(unrefined(evidence, class_id))
        regions = oracle.regions_by_flooding(evidence.label_map == class_id)
        found = signals.of_regions()
        assert len(found) == len(regions)
        for each, region in zip(found, regions, strict=True):
            check_equal(each, literal(evidence, row, region, before))
        if regions:
            whole = sorted(place for region in regions for place in region)
            merged = [place for region in before for place in region]
            expected = literal(evidence, row, whole, [merged] if merged else [])
            share = max(map(len, regions)) / len(whole)
            check_equal(signals.of_class(), Signals(**{**asdict(expected), "largest_share": share}))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES)
def test_all_signals_are_in_the_unit_range_and_in_the_order_of_export(seed: int, size: tuple[int, int]) -> None:
    evidence = make_evidence(seed, size)
    masks = list(iterate_masks(evidence.label_map, "components"))
    found = [each for class_id in evidence.class_ids for each in ClassSignals(evidence, class_id).of_regions()]
    assert [round(each.area * evidence.label_map.size) for each in found] == [int(mask.sum()) for _, mask in masks]
    for each in found:
        values = [value for value in asdict(each).values() if not math.isnan(value)]
        assert min(values) >= 0
        assert max(values) <= 1 + 1e-6


def test_a_class_without_region_or_without_map() -> None:
    evidence = make_evidence(0, (4, 5))
    empty = Evidence("a", evidence.scores, (2, 3), evidence.background, np.full((4, 5), 9, np.uint8),
                     evidence.levels, evidence.probabilities, evidence.flip_agreement)  # fmt: skip
    vanished = ClassSignals(empty, 2)
    check_equal(vanished.of_class(), Signals(area=0.0, probability=float(evidence.probabilities[0])))
    assert vanished.of_regions() == []
    without_map = ClassSignals(empty, 9)
    check_equal(without_map.of_class(), Signals(area=1.0))
    check_equal(without_map.of_regions()[0], Signals(area=1.0))


def test_what_is_not_known_is_nan() -> None:
    known = make_evidence(1, (5, 5))
    bare = Evidence("a", known.scores, (2, 3), known.background, known.label_map)
    found = ClassSignals(bare, 2).of_class()
    assert [math.isnan(each) for each in (found.scale_agreement, found.flip_agreement, found.probability)] == [True] * 3
    assert found.score == ClassSignals(known, 2).of_class().score


def test_no_class_is_certain_and_equal_scores_are_not() -> None:
    background = np.full((2, 3), 0.25, np.float32)
    assert compute_certainty(np.zeros((0, 2, 3), np.float32), background).tolist() == [[1.0] * 3] * 2
    np.testing.assert_allclose(compute_certainty(np.full((3, 2, 3), 0.25, np.float32), background), 0, atol=1e-7)
    assert compute_certainty(np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.float32)).tolist() == [[0.0]]
    assert compute_certainty(np.ones((1, 1, 1), np.float32), np.zeros((1, 1), np.float32)).tolist() == [[1.0]]


def test_the_rival_is_the_best_of_the_others() -> None:
    scores = np.array([[[0.9]], [[0.5]], [[0.7]]], np.float32)
    for row, expected in enumerate((0.2, -0.4, -0.2)):
        np.testing.assert_allclose(compute_margin(scores, np.full((1, 1), 0.6, np.float32), row), expected, rtol=1e-5)


def test_equal_scales_agree_whatever_their_size_and_strength() -> None:
    level = np.array([[1.0, 1.0], [0.0, -2.0]], np.float32)
    planes = align_levels([level, 5 * level], (6, 6))
    regions = as_one_region(np.ones((6, 6), np.bool_))
    assert compute_scale_agreement(planes, regions).tolist() == [1.0]
    assert planes[0][:3].min() == 1.0
    assert planes[0][3:].max() == 0.0
    opposed = align_levels([level, np.ascontiguousarray(level[::-1])], (6, 6))
    assert compute_scale_agreement(opposed, regions).tolist() == [0.0]
    assert np.isnan(compute_scale_agreement(planes[:1], regions)).all()
    assert np.isnan(compute_scale_agreement(planes, find_regions(planes[0] == 0))).all()


def test_evidence_that_does_not_fit_is_refused() -> None:
    good = make_evidence(0, (4, 5))
    with pytest.raises(DataError, match=r"x: scores is 4x5 but label map is 4x4"):
        Evidence("x", good.scores, (2, 3), good.background, good.label_map[:, :4])
    with pytest.raises(DataError, match=r"x: expected one map per class of \(2,\), but got 2"):
        Evidence("x", good.scores, (2,), good.background, good.label_map)
    with pytest.raises(DataError, match="x, scores: expected finite"):
        Evidence("x", good.scores * np.nan, (2, 3), good.background, good.label_map)
