"""Label-free objectives: literal loops, values worked by hand, and what they must prefer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles.label_free_objectives import (
    slow_colour_contrast,
    slow_edge_alignment,
    slow_label_correlation,
    slow_label_iou,
    slow_ranking,
)
from wsl.errors import ConfigError, DataError
from wsl.quality.label_free_objectives import (
    LABEL_FREE_OBJECTIVES,
    LabelledCase,
    UnlabelledCase,
    compute_label_correlation,
    compute_label_iou,
    compute_ranking,
    rate_labels,
)
from wsl.seeds.labels import label_from_scores

LABELS = arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 3]))
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (6, 7, 3), np.uint8)
VIEWS = tuple(RANDOM.random((2, 6, 7), np.float32) for _ in range(3))
CASE = UnlabelledCase(IMAGE, VIEWS[0], VIEWS, (1, 3), 0.5)


@given(LABELS, LABELS)
def test_agreement_is_that_of_literal_loops(first: np.ndarray, second: np.ndarray) -> None:
    assert compute_label_iou(first, second, (1, 3)) == pytest.approx(slow_label_iou(first, second, (1, 3)))
    assert compute_label_correlation(first, second, (1, 3)) == pytest.approx(
        slow_label_correlation(first, second, (1, 3)), abs=1e-12
    )
    assert compute_label_iou(first, first, (1, 3)) == 1


@given(arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 3])))
def test_colours_are_those_of_literal_loops(labels: np.ndarray) -> None:
    found = rate_labels(["edge_alignment", "colour_contrast"], CASE, lambda scores: labels)
    assert found["edge_alignment"] == pytest.approx(slow_edge_alignment(IMAGE, labels), abs=1e-2)
    assert found["colour_contrast"] == pytest.approx(slow_colour_contrast(IMAGE, labels), abs=1e-3)


def test_halves_are_every_other_view() -> None:
    first, second = CASE.halves
    mean = (VIEWS[0] + VIEWS[2]) / 2
    np.testing.assert_allclose(first, mean / mean.max(axis=(1, 2), keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(second, VIEWS[1] / VIEWS[1].max(axis=(1, 2), keepdims=True), rtol=1e-6)


def test_view_agreement_by_hand() -> None:
    """One half is refined, the other is cut; both ways round, then the mean."""
    halves = CASE.halves
    cut = [label_from_scores(half, (1, 3), "constant", 0.5) for half in halves]
    made = [label_from_scores(half, (1, 3), "constant", 0.7) for half in halves]
    expected = (slow_label_iou(made[0], cut[1], (1, 3)) + slow_label_iou(made[1], cut[0], (1, 3))) / 2
    found = rate_labels(["view_agreement"], CASE, lambda scores: label_from_scores(scores, (1, 3), "constant", 0.7))
    assert found["view_agreement"] == pytest.approx(expected)


def test_removing_noise_gains_and_removing_objects_costs() -> None:
    truth = np.zeros((24, 24), np.uint8)
    truth[6:18, 6:18] = 1
    image = np.where(truth[..., None] == 1, np.uint8(220), np.uint8(30)).repeat(3, axis=2)
    noise = np.random.default_rng(1)
    views = tuple((0.7 * truth + 0.5 * noise.random((24, 24)))[None].astype(np.float32) for _ in range(4))
    case = UnlabelledCase(image, views[0], views, (1,), 0.4)
    ways = {
        "right": lambda scores: truth,
        "noisy": lambda scores: label_from_scores(scores, (1,), "constant", 0.4),
        "nothing": lambda scores: np.zeros_like(truth),
        "all": lambda scores: np.ones_like(truth),
    }
    for name in ("view_agreement", "agreement_and_edges"):
        values = {way: rate_labels([name], case, make)[name] for way, make in ways.items()}
        assert values["right"] > values["noisy"] > max(values["nothing"], values["all"])


def test_255_counts_as_background() -> None:
    labels = np.full((6, 7), 255, np.uint8)
    labels[2:4, 2:4] = 3
    plain = np.where(labels == 255, 0, labels).astype(np.uint8)
    names = LABEL_FREE_OBJECTIVES.names()
    assert rate_labels(names, CASE, lambda scores: labels) == rate_labels(names, CASE, lambda scores: plain)


def test_each_label_map_is_made_once() -> None:
    calls: list[float] = []

    def make(scores: np.ndarray) -> np.ndarray:
        calls.append(float(scores.sum()))
        return np.zeros((6, 7), np.uint8)

    found = rate_labels(LABEL_FREE_OBJECTIVES.names(), CASE, make)
    assert all(np.isfinite(value) for value in found.values())
    assert len(calls) == 1 + 2 + 3  # all views together, the halves, each view


def test_what_does_not_fit_is_refused() -> None:
    one_view = UnlabelledCase(IMAGE, VIEWS[0], VIEWS[:1], (1, 3), 0.5)
    with pytest.raises(DataError, match="2 scales"):
        rate_labels(["view_agreement"], one_view, lambda scores: np.zeros((6, 7), np.uint8))
    with pytest.raises(DataError, match="2 scales"):
        _ = LabelledCase(one_view, lambda scores: np.zeros((6, 7), np.uint8)).single
    with pytest.raises(DataError, match="label map is 3x3"):
        rate_labels(["edge_alignment"], CASE, lambda scores: np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match="views: expected scores of shape"):
        UnlabelledCase(IMAGE, VIEWS[0], (VIEWS[0][:1],), (1, 3), 0.5)
    with pytest.raises(ConfigError, match="view_agreement"):
        rate_labels(["view_agreemnt"], CASE, lambda scores: np.zeros((6, 7), np.uint8))
    assert (
        rate_labels(["view_agreement"], UnlabelledCase(IMAGE, VIEWS[0][:0], (), (), 0.5), lambda scores: scores) == {}
    )


@given(
    arrays(np.bool_, (4, 5)),
    arrays(np.float32, (4, 5), elements=st.sampled_from([np.float32(n / 64) for n in range(65)])),
)
def test_ranking_is_that_of_all_pairs(mask: np.ndarray, scores: np.ndarray) -> None:
    assert compute_ranking(mask, scores) == pytest.approx(slow_ranking(mask, scores), abs=1e-12)


def test_ranking_by_hand() -> None:
    """Each half's labels against the other half's scores; the product with the borders' contrast."""
    halves, ids = CASE.halves, CASE.class_ids
    found = rate_labels(
        ["view_ranking", "ranking_and_edges", "edge_alignment", "agreement_and_edges", "consensus"],
        CASE,
        lambda scores: label_from_scores(scores, ids, "constant", 0.6),
    )
    labels = [label_from_scores(half, ids, "constant", 0.6) for half in halves]
    areas = [slow_ranking(labels[h] == ids[k], np.floor(halves[1 - h][k] * 1024)) for h in (0, 1) for k in (0, 1)]
    assert found["view_ranking"] == pytest.approx(np.mean(areas), abs=1e-9)
    contrast = 1 + found["edge_alignment"]
    assert found["ranking_and_edges"] == pytest.approx((np.mean(areas) - 0.5) * contrast / (1 + contrast), abs=1e-9)
    assert found["consensus"] == pytest.approx(found["ranking_and_edges"] * found["agreement_and_edges"])
