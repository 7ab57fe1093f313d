from __future__ import annotations

import pickle
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_box_errors import kind_of
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.box_errors import KINDS, BoxErrors, classify_box
from wsl.types import Box, ClassSet

TRUE = Box((0, 0, 10, 10), 1)
SIDES = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
CORNERS = SIDES.map(lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])))


@pytest.mark.parametrize(
    ("predicted", "truth", "kind"),
    [
        ((0, 0, 10, 5), [TRUE], "correct"),  # IoU exactly 0.5
        ((0, 0, 10, 4), [TRUE], "region_part"),
        ((0, 0, 30, 10), [TRUE], "region_more"),
        ((0, 0, 30, 10), [TRUE, Box((20, 0, 30, 10), 1)], "multi_instances"),
        ((5, 5, 15, 15), [TRUE], "region_wrong"),
        ((0, 0, 10, 3), [TRUE, Box((0, 0, 10, 10), 1)], "region_part"),  # IoG of 0.3 is not above it
        ((3, 3, 3, 3), [TRUE], "region_wrong"),  # no area
        (None, [TRUE], "region_wrong"),
    ],
)
def test_each_kind(predicted: tuple | None, truth: list[Box], kind: str) -> None:
    box = None if predicted is None else Box(predicted, 1)
    assert classify_box(box, truth) == classify_box(box, truth, True) == kind
    assert classify_box(box, truth, False) == "cls_wrong"


@settings(max_examples=300, deadline=None)
@given(
    predicted=st.none() | CORNERS,
    truth=st.lists(CORNERS, min_size=1, max_size=3),
    correct=st.sampled_from([None, True, False]),
    strict=st.booleans(),
    inclusive=st.booleans(),
)
def test_agrees_with_counted_pixels(
    predicted: tuple | None, truth: list[tuple], correct: bool | None, strict: bool, inclusive: bool
) -> None:
    box = None if predicted is None else Box(predicted, 1)
    comparison = ">" if strict else ">="
    kind = classify_box(box, [Box(each, 1) for each in truth], correct, 0.5, comparison, inclusive)
    assert kind == kind_of(predicted, truth, correct, strict, int(inclusive))


def test_shares_add_up_in_all_and_per_class() -> None:
    metric, kinds = BoxErrors(), Counter()
    for class_id, corners, correct in [(1, (0, 0, 10, 9), True), (1, (0, 0, 10, 4), None), (2, (0, 0, 10, 10), False)]:
        true = [Box(TRUE.xyxy, class_id)]
        metric.update(Box(corners, class_id), true, correct)
        kinds[classify_box(Box(corners, class_id), true, correct)] += 1
    scores = metric.scores(ClassSet(("cat", "dog")))
    assert [score.name for score in scores] == [f"box {kind}" for kind in KINDS]
    assert [score.value for score in scores] == [kinds[kind] / 3 for kind in KINDS]
    assert sum(score.value for score in scores) == pytest.approx(1)
    assert [score.per_class["cat"]["share"] for score in scores] == [0.5, 0, 0, 0.5, 0, 0]
    assert [score.per_class["dog"]["share"] for score in scores] == [0, 1, 0, 0, 0, 0]
    assert scores[1].counts == {"image-class pairs": 3, "cls_wrong": 1}


@given(cut=st.integers(0, 4), order=st.permutations(range(4)))
def test_halves_in_any_order_give_the_whole(cut: int, order: list[int]) -> None:
    corners = [(0, 0, 10, 5), (0, 0, 10, 4), (0, 0, 30, 10), (50, 50, 60, 60)]
    whole, left, right = BoxErrors(), BoxErrors(), BoxErrors()
    for place, index in enumerate(order):
        whole.update(Box(corners[place], 1), [TRUE])
        (left if place < cut else right).update(Box(corners[index], 1), [TRUE])
    right.merge(pickle.loads(pickle.dumps(left)))  # noqa: S301
    assert right.scores() == whole.scores()


def test_what_does_not_fit_is_refused() -> None:
    metric = BoxErrors()
    assert {score.value for score in metric.scores()} == {None}
    with pytest.raises(DataError, match=r"cat: expected true boxes of exactly one class, but got classes \[1, 2\]"):
        metric.update(TRUE, [TRUE, Box((0, 0, 1, 1), 2)], name="cat")
    with pytest.raises(DataError, match="exactly one class"):
        metric.update(TRUE, [])
    with pytest.raises(ConfigError, match="joined"):
        metric.merge(BoxErrors(comparison=">"))
    with pytest.raises(ConfigError, match="comparison: expected one of >=, >"):
        BoxErrors(comparison="<")
    with pytest.raises(ConfigError, match="iou_threshold"):
        BoxErrors(50)
