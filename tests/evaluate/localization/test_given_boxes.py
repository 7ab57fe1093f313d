from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.given_boxes import BoxAccuracy, CorLoc
from wsl.types import Box, ClassSet

TRUTH = [Box((0, 0, 10, 10), 1), Box((20, 20, 30, 30), 1, difficult=True), Box((0, 0, 4, 4), 2)]
# class 1: the top box misses, the other one hits exactly at IoU 0.5; class 3 is not in the image
PREDICTED = [Box((50, 50, 60, 60), 1, 0.9), Box((0, 0, 10, 5), 1, 0.8), Box((0, 0, 4, 4), 3, 1.0)]


def test_corloc_takes_the_top_box_and_the_mean_over_classes() -> None:
    metric = CorLoc()
    metric.update(PREDICTED, TRUTH)
    metric.update([Box((20, 20, 30, 29), 1, 0.1), Box((0, 0, 4, 4), 2, 0.5)], TRUTH)
    score = metric.score(ClassSet(("cat", "dog", "cow")))
    assert score.per_class == {"cat": {"corloc": 0.5}, "dog": {"corloc": 0.5}}
    assert score.value == 0.5
    assert score.counts == {"image-class pairs": 4}


def test_corloc_is_a_strict_comparison() -> None:
    metric = CorLoc()
    metric.update([Box((0, 0, 10, 5), 1)], TRUTH[:1])
    assert metric.score().value == 0.0
    inclusive = CorLoc(inclusive=True)  # 11 x 6 of 11 x 11
    inclusive.update([Box((0, 0, 10, 5), 1)], TRUTH[:1])
    assert inclusive.score().value == 1.0


def test_box_accuracy_of_the_top_and_of_any_box() -> None:
    metric = BoxAccuracy()
    metric.update(PREDICTED, TRUTH)
    values = {score.name: score.value for score in metric.scores()}
    assert values == {
        "BoxAcc top@0.3": 0.0,
        "BoxAcc top@0.5": 0.0,
        "BoxAcc top@0.7": 0.0,
        "BoxAcc top": 0.0,
        "BoxAcc any@0.3": 0.5,
        "BoxAcc any@0.5": 0.5,
        "BoxAcc any@0.7": 0.0,
        "BoxAcc any": pytest.approx(1 / 3),
    }


def test_of_equal_scores_the_first_is_the_top_box() -> None:
    for order, value in ((1, 1.0), (-1, 0.0)):
        metric = CorLoc()
        metric.update([Box((0, 0, 10, 10), 1, 0.5), Box((50, 50, 60, 60), 1, 0.5)][::order], TRUTH[:1])
        assert metric.score().value == value


@pytest.mark.parametrize("make", [CorLoc, BoxAccuracy])
def test_halves_add_up(make: type) -> None:
    whole, left, right = make(), make(), make()
    for metric in (whole, left):
        metric.update(PREDICTED, TRUTH)
    for metric in (whole, right):
        metric.update(TRUTH, TRUTH)
    left.merge(right)
    scores = (left.score(), whole.score()) if make is CorLoc else (left.scores(), whole.scores())
    assert scores[0] == scores[1]
    with pytest.raises(ConfigError, match="joined"):
        whole.merge(make(inclusive=True))


def test_nothing_to_find_is_undefined() -> None:
    corloc, accuracy = CorLoc(), BoxAccuracy()
    corloc.update(PREDICTED, [])
    accuracy.update(PREDICTED, [])
    assert corloc.score().value is None
    assert {score.value for score in accuracy.scores()} == {None}


@pytest.mark.parametrize("make", [CorLoc, BoxAccuracy])
def test_rows_tell_every_image_and_class(make: type) -> None:
    left, right = make(keep_rows=True), make(keep_rows=True)
    left.update(PREDICTED, TRUTH, "c")
    right.update([], TRUTH[:1], "a")
    right.update(PREDICTED, [], "b")
    left.merge(right)
    rows = left.rows()
    assert rows.image_ids == ("a", "b", "c")
    assert rows.images.tolist() == [0, 2, 2]
    assert rows.class_ids.tolist() == [1, 1, 2]
    assert rows.top.tolist() == [0.0, 0.0, 0.0]
    assert rows.best.tolist() == [0.0, 0.5, 0.0]


def test_scores_follow_from_the_rows() -> None:
    generator = np.random.default_rng(0)
    corloc, accuracy = CorLoc(keep_rows=True), BoxAccuracy(keep_rows=True)
    for number in range(8):
        truth = [Box((0, 0, *generator.integers(5, 9, 2)), int(generator.integers(1, 3))) for _ in range(3)]
        found = [Box((0, 0, *generator.integers(3, 12, 2)), int(generator.integers(1, 4))) for _ in range(4)]
        for metric in (corloc, accuracy):
            metric.update(found, truth, f"image {number}")
    rows = corloc.rows()
    rates = [np.mean(rows.top[rows.class_ids == class_id] > 0.5) for class_id in (1, 2)]
    assert corloc.score().value == pytest.approx(np.mean(rates))
    values = {score.name: score.value for score in accuracy.scores()}
    assert values["BoxAcc any@0.7"] == pytest.approx(np.mean(accuracy.rows().best >= 0.7))
    assert values["BoxAcc top@0.7"] == pytest.approx(np.mean(accuracy.rows().top >= 0.7))


@pytest.mark.parametrize("make", [CorLoc, BoxAccuracy])
def test_rows_need_names_and_must_be_wanted(make: type) -> None:
    metric = make(keep_rows=True)
    with pytest.raises(DataError, match="each needs a name of its own"):
        metric.update(PREDICTED, TRUTH)
    metric.update(PREDICTED, TRUTH, "a")
    with pytest.raises(DataError, match="image 'a': rows are kept by image"):
        metric.update(PREDICTED, TRUTH, "a")
    with pytest.raises(DataError, match="keep_rows=True"):
        make().rows()
    with pytest.raises(ConfigError, match="joined"):
        metric.merge(make())
