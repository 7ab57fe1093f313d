from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_top_k import gt_known_loc, top_k_loc
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.top_k import TopKLocalization
from wsl.types import ClassSet

THRESHOLDS = (0.1, 0.2, 0.4)
Image = tuple[dict[int, np.ndarray], list[int]]


def make_image(seed: int) -> Image:
    """One to three true classes of six; IoU in steps of 0.25, so that it meets 0.5 exactly."""
    generator = np.random.default_rng(seed)
    true = generator.permutation(6)[: generator.integers(1, 4)]
    return {int(each): generator.integers(0, 5, 3) / 4 for each in true}, generator.permutation(6)[:5].tolist()


@pytest.mark.parametrize("protocol", ["wsl", "ts_cam"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 9))
def test_agrees_with_image_by_image(protocol: str, seed: int) -> None:
    images = [make_image(seed + index) for index in range(6)]
    for column, threshold in enumerate(THRESHOLDS):
        metric = TopKLocalization(threshold, (1, 3, 5), protocol=protocol, provenance="val")
        single = []
        for best_iou, ranking in images:
            metric.update({class_id: curve[[column]] for class_id, curve in best_iou.items()}, ranking)
            single.append(({class_id: float(curve[column]) for class_id, curve in best_iou.items()}, ranking))
        expected = [top_k_loc(single, k, 0.5, protocol == "ts_cam") for k in (1, 3, 5)]
        scores = metric.scores()
        assert [score.value for score in scores] == [*expected, gt_known_loc(single, 0.5)]
        assert {score.threshold["provenance"] for score in scores} == {"val"}


def test_all_thresholds_are_as_one_after_the_other() -> None:
    images = [make_image(seed) for seed in range(7)]
    metric = TopKLocalization(THRESHOLDS, iou_threshold=0.25)
    for image in images:
        metric.update(*image)
    for column, threshold in enumerate(THRESHOLDS):
        single = [({key: float(curve[column]) for key, curve in best.items()}, ranking) for best, ranking in images]
        expected = [top_k_loc(single, k, 0.25, False) for k in (1, 5)] + [gt_known_loc(single, 0.25)]
        assert [score.value for score in metric.at(threshold)] == expected
        assert [score.curve["accuracy"][column] for score in metric.scores()] == expected
    for score in metric.scores():
        best = int(np.argmax(score.curve["accuracy"]))
        assert score.value == score.curve["accuracy"][best]
        assert score.threshold == {"value": THRESHOLDS[best], "provenance": "oracle"}


def test_a_hand_worked_case() -> None:
    metric = TopKLocalization(0.3)
    metric.update({1: np.array([0.5])}, [1, 2, 3, 4, 5], "right class, box just right")
    metric.update({1: np.array([0.9])}, [2, 1, 3, 4, 5], "right class second")
    metric.update({2: np.array([0.49])}, [2, 1, 3, 4, 5], "box wrong")
    metric.update({2: np.array([0.8])}, [1, 3, 4, 5, 6], "class not ranked")
    top_1, top_5, known = metric.scores(ClassSet(("cat", "dog")))
    assert (top_1.name, top_5.name, known.name) == ("Top-1 Loc@0.5", "Top-5 Loc@0.5", "GT-known Loc@0.5")
    assert (top_1.value, top_5.value, known.value) == (0.25, 0.5, 0.75)
    assert top_5.per_class == {"cat": {"accuracy": 1.0}, "dog": {"accuracy": 0.0}}
    assert known.per_class == {"cat": {"accuracy": 1.0}, "dog": {"accuracy": 0.5}}
    strict = TopKLocalization(0.3, protocol="ts_cam")
    strict.update({1: np.array([0.5])}, [1, 2, 3, 4, 5])
    assert [score.value for score in strict.scores()] == [0.0, 0.0, 1.0]
    assert [score.conventions["comparison"] for score in strict.scores()] == ["IoU > 0.5", "IoU > 0.5", "IoU >= 0.5"]


def test_curves_in_float32_lose_no_tie() -> None:
    metric = TopKLocalization(0.3, (1,), iou_threshold=0.7)
    metric.update({1: np.array([0.7], np.float32)}, [1])
    assert metric.scores()[0].value == 1.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), cut=st.integers(0, 5), order=st.permutations(range(5)))
def test_halves_in_any_order_give_the_whole(seed: int, cut: int, order: list[int]) -> None:
    images = [make_image(seed + index) for index in range(5)]
    whole, left, right = (TopKLocalization(THRESHOLDS) for _ in range(3))
    for place, index in enumerate(order):
        whole.update(*images[place])
        (left if place < cut else right).update(*images[index])
    right.merge(pickle.loads(pickle.dumps(left)))  # noqa: S301
    assert right.scores() == whole.scores()


def test_nothing_added_is_undefined() -> None:
    assert [score.value for score in TopKLocalization(THRESHOLDS).scores()] == [None] * 3


def test_input_that_does_not_fit_is_refused() -> None:
    metric, curve = TopKLocalization(0.3), np.array([0.5])
    with pytest.raises(DataError, match=r"cat: expected at least 5 different ranked classes, but got \[1, 2\]"):
        metric.update({1: curve}, [1, 2], "cat")
    with pytest.raises(DataError, match="different ranked classes"):
        metric.update({1: curve}, [1, 1, 2, 3, 4])
    with pytest.raises(DataError, match="cat: expected the IoU of at least one true class"):
        metric.update({}, [1, 2, 3, 4, 5], "cat")
    with pytest.raises(DataError, match=r"class 1: expected 1 values of IoU in \[0, 1\], but got float64 \(2,\)"):
        metric.update({1: np.zeros(2)}, [1, 2, 3, 4, 5])
    with pytest.raises(DataError, match="values of IoU"):
        metric.update({1: np.array([np.nan])}, [1, 2, 3, 4, 5])
    with pytest.raises(DataError, match=r"threshold 0\.4 was not among"):
        metric.at(0.4)
    with pytest.raises(ConfigError, match="joined"):
        metric.merge(TopKLocalization(0.4))
    with pytest.raises(ConfigError, match="'ts_cam' has one threshold"):
        TopKLocalization(THRESHOLDS, protocol="ts_cam")
    with pytest.raises(ConfigError, match="ks: expected different"):
        TopKLocalization(0.3, ks=(0,))
    with pytest.raises(ConfigError, match="iou_threshold"):
        TopKLocalization(0.3, iou_threshold=50)
    with pytest.raises(ConfigError, match="thresholds: expected at least one"):
        TopKLocalization([])
