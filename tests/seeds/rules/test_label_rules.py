from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles.seeds_rules import label_by_rule
from wsl.errors import ConfigError, DataError
from wsl.seeds.labels import seed_label_map
from wsl.seeds.rules import LABEL_RULES, build_rule

OPTIONS: dict[str, dict[str, Any]] = {
    "argmax": {},
    "two_threshold": {"foreground": 0.3, "background": 0.05},
    "two_alpha": {"low": 4.0, "high": 32.0},
    "relative": {"share": 0.6, "background_share": 0.7, "low": 0.2},
    "sec_cues": {"foreground": 0.2, "background": 0.29},
    "class_thresholds": {"thresholds": {2: 0.6, 30: 0.05}, "default": 0.3},
}
NAMES = list(OPTIONS)
IDS = (9, 2, 30)
FEW = st.sampled_from([0.0, 1e-6, 0.05, 0.2, 0.3, 0.30000001, 0.6, 0.9, 1.0]).map(np.float32)
SIZES = st.sampled_from([(1, 1), (1, 4), (4, 5)])
EVIDENCES = st.tuples(st.integers(1, 3), SIZES).flatmap(
    lambda shape: arrays(np.float32, (2, shape[0] + 1, *shape[1]), elements=FEW)
)


def views_of(name: str, evidences: np.ndarray) -> list[np.ndarray]:
    return list(evidences[: build_rule(name, **OPTIONS[name]).views])


def test_every_rule_is_in_the_table() -> None:
    assert LABEL_RULES.names() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(EVIDENCES)
def test_rules_against_the_oracle(name: str, evidences: np.ndarray) -> None:
    views, ids = views_of(name, evidences), IDS[: evidences.shape[1] - 1]
    labels = build_rule(name, **OPTIONS[name]).decide(views, ids)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, label_by_rule(name, views, ids, **OPTIONS[name]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_the_order_of_the_classes_does_not_matter(name: str, order: tuple[int, ...]) -> None:
    evidences = np.random.default_rng(3).random((2, 4, 9, 11)).astype(np.float32)
    rule = build_rule(name, **OPTIONS[name])
    permuted = evidences[:, [0, *(each + 1 for each in order)]]
    labels = rule.decide(views_of(name, evidences), IDS)
    np.testing.assert_array_equal(labels, rule.decide(views_of(name, permuted), [IDS[each] for each in order]))
    flipped = rule.decide([each[:, :, ::-1] for each in views_of(name, evidences)], IDS)  # not contiguous
    np.testing.assert_array_equal(labels, flipped[:, ::-1])


@pytest.mark.parametrize("name", NAMES)
def test_no_class_is_background(name: str) -> None:
    views = views_of(name, np.ones((2, 1, 2, 3), np.float32))
    assert build_rule(name).decide(views, ()).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("name", NAMES)
def test_rules_leave_read_only_and_double_evidence_alone(name: str) -> None:
    evidences = np.random.default_rng(4).random((2, 3, 5, 6))
    before, rule = evidences.copy(), build_rule(name, **OPTIONS[name])
    evidences.flags.writeable = False
    labels = rule.decide(views_of(name, evidences), (1, 2))
    np.testing.assert_array_equal(evidences, before)
    np.testing.assert_array_equal(labels, rule.decide(views_of(name, before.astype(np.float32)), (1, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_no_evidence_at_all_is_no_class(name: str) -> None:
    labels = build_rule(name).decide(views_of(name, np.zeros((2, 2, 3, 3), np.float32)), (4,))
    assert set(np.unique(labels)) <= {0, 255}


def unrefined(scores: np.ndarray, name: str, **options: float) -> np.ndarray:
    rule = build_rule(name, **options)
    stacks = [np.concatenate([plane[None], scores]) for plane in rule.backgrounds(scores)]
    return rule.decide(stacks, (5, 6))


def test_without_refinement_the_pairs_are_the_seed_label_map() -> None:
    scores = np.random.default_rng(5).random((2, 12, 13)).astype(np.float32) ** 4
    wanted = seed_label_map(scores, (5, 6), foreground=0.3, background=0.05)
    np.testing.assert_array_equal(unrefined(scores, "two_threshold"), wanted)
    wanted = seed_label_map(scores, (5, 6), rule="power", foreground=2, background=40)
    np.testing.assert_array_equal(unrefined(scores, "two_alpha", low=2, high=40), wanted)
    assert len(set(np.unique(wanted))) == 4


def test_backgrounds_are_those_of_the_papers() -> None:
    scores = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    strict, generous = build_rule("two_threshold").backgrounds(scores)
    assert (strict.dtype, strict[0, 0], generous[0, 0]) == (np.float32, np.float32(0.3), np.float32(0.05))
    low, high = build_rule("two_alpha").backgrounds(scores)
    assert low.tolist() == [[1, 0.5**4, 0]]
    assert high.tolist() == [[1, 0.5**32, 0]]
    assert build_rule("relative").backgrounds(scores)[0].tolist() == [[1, 0.5, 0]]
    assert build_rule("argmax").backgrounds(scores) == ()


def make_views(*columns: tuple[tuple[float, float], tuple[float, float]]) -> list[np.ndarray]:
    """Two views of one row of pixels, each (background, class)."""
    return [np.array([column[view] for column in columns], np.float32).T[:, None] for view in (0, 1)]


def test_the_two_pairs_differ_where_refinement_contradicts_itself() -> None:
    fore, back = (0.1, 0.9), (0.9, 0.1)
    views = make_views((fore, fore), (fore, back), (back, fore), (back, back), ((0, 0), (0, 0)))
    assert build_rule("two_threshold").decide(views, (7,)).tolist() == [[7, 7, 255, 0, 0]]
    assert build_rule("two_alpha").decide(views, (7,)).tolist() == [[7, 0, 255, 0, 255]]


def test_relative_by_hand() -> None:
    evidence = np.array([[[0.9, 0.64, 0.62, 0.3]], [[0.1, 0.5, 0.7, 0.4]], [[0.0, 0.0, 0.19, 0.1]]], np.float32)
    # cuts: 0.63, 0.42 and, because 0.6 x 0.19 is below 0.2, 0.2
    assert build_rule("relative").decide([evidence], (3, 4)).tolist() == [[0, 255, 3, 255]]


def test_relative_finds_classes_without_refinement() -> None:
    scores = np.array([[[0.05, 0.4, 1.0]], [[0.0, 0.3, 0.1]]], np.float32)
    assert unrefined(scores, "relative").tolist() == [[0, 6, 5]]


def test_cues_go_to_the_smaller_region() -> None:
    background = np.zeros((1, 10), np.float32)
    large = np.array([[1, 1, 1, 1, 1, 1, 1, 0, 0, 0]], np.float32)
    small = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 0, 0]], np.float32)
    labels = build_rule("sec_cues").decide([np.stack([background, large, small])], (1, 2))
    assert labels.tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 0, 0]]  # the flat end comes whole


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("argmaxx", {}, "Unknown label rule 'argmaxx'. Did you mean: argmax"),
        ("argmax", {"low": 1}, "labels.rule=argmax: unknown option 'low'"),
        ("two_threshold", {"foreground": 0.05, "background": 0.3}, r"^labels\.foreground .* swap the two"),
        ("two_threshold", {"foreground": 1.5}, r"^labels\.foreground: expected a value in \[0, 1\], but got 1.5"),
        ("two_threshold", {"background": float("nan")}, r"^labels\.background: expected a value in \[0, 1\]"),
        ("two_alpha", {"low": 40}, r"^labels\.low: expected an exponent of at most labels.high \(32.0\)"),
        ("two_alpha", {"high": 0}, r"^labels\.high: expected an exponent above 0"),
        ("relative", {"share": "x"}, r"^labels\.share: expected a value in \[0, 1\], but got 'x'"),
        ("relative", {"alpha": "x"}, r"^labels\.alpha: expected an exponent above 0, but got 'x'"),
        ("sec_cues", {"background": -1}, r"^labels\.background: "),
        (
            "class_thresholds",
            {"thresholds": {0: 0.5}},
            r"^labels\.thresholds: expected class ids in 1\.\.254, but got 0",
        ),
        ("class_thresholds", {"thresholds": {1: 1.5}}, r"^labels\.thresholds: expected a number in \[0, 1\]"),
        ("class_thresholds", {"thresholds": 0.5}, r"^labels\.thresholds: expected {class id: number}"),
        ("class_thresholds", {"default": 2}, r"^labels\.default: "),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_rule(name, **options)


@pytest.mark.parametrize(
    ("evidences", "ids", "message"),
    [
        ([np.full((2, 2, 2), np.nan, np.float32)], (1,), "expected finite scores"),
        ([np.full((2, 2, 2), -0.1, np.float32)], (1,), "expected values of at least 0, but got -0.1"),
        ([np.ones((2, 2, 2), np.uint8)], (1,), "expected floating"),
        ([np.ones((2, 2), np.float32)], (1,), "expected floating"),
        ([np.ones((2, 0, 2), np.float32)], (1,), "expected planes of one size"),
        ([np.ones((2, 2, 2), np.float32)] * 2, (1,), "expected 1 evidences, one for each background, but got 2"),
        ([], (1,), "but got 0"),
        ([np.ones((2, 2, 2), np.float32)], (1, 2), "expected 1 different ids"),
        ([np.ones((3, 2, 2), np.float32)], (0, 2), "expected 2 different ids"),
    ],
)
def test_bad_evidence(evidences: list[np.ndarray], ids: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_rule("argmax").decide(evidences, ids)


def test_views_of_unequal_size() -> None:
    with pytest.raises(DataError, match="expected planes of one size"):
        build_rule("two_alpha").decide([np.ones((2, 2, 2), np.float32), np.ones((2, 2, 3), np.float32)], (1,))


def test_rules_are_values() -> None:
    rule = build_rule("class_thresholds", thresholds={"3": 0.5})
    assert pickle.loads(pickle.dumps(rule)) == rule  # noqa: S301 (our own bytes)
    assert rule == build_rule("class_thresholds", thresholds={3: 0.5})
    assert hash(rule) == hash(build_rule("class_thresholds", thresholds={3: 0.5}))
