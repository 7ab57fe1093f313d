from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.oracles.evaluate_max_box_acc import hits_of_pair
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.types import Box, ClassSet

IOUS = (0.3, 0.5, 0.7)


def make_pair(seed: int) -> tuple[np.ndarray, list[Box]]:
    """A smooth map whose peak lies more or less on one of one or two boxes of class 1 or 2."""
    generator = np.random.default_rng(seed)
    height, width = generator.integers(8, 30, 2)
    noise = generator.random((height, width))
    boxes = []
    for _ in range(generator.integers(1, 3)):
        x, y = generator.integers(0, width - 4), generator.integers(0, height - 4)
        right, bottom = generator.integers(x + 3, width + 1), generator.integers(y + 3, height + 1)
        boxes.append(Box((float(x), float(y), float(right), float(bottom)), 1 + seed % 2))
    noise[y:bottom, x:right] += 0.7
    return ndimage.gaussian_filter(noise, seed % 3), boxes


@pytest.mark.parametrize("box_rule", ["wsolevaluation", "half_open"])
def test_agrees_with_one_threshold_after_the_other(box_rule: str) -> None:
    thresholds = np.arange(0, 1, 0.07)
    metric = MaxBoxAcc(IOUS, thresholds, box_rule=box_rule)
    hits = []
    for seed in range(8):
        score_map, boxes = make_pair(seed)
        metric.update(score_map, boxes)
        truth = [box.xyxy for box in boxes]
        hits.append(hits_of_pair(score_map, truth, thresholds, IOUS, box_rule == "wsolevaluation"))
    accuracy = np.mean(hits, axis=0)
    scores = {score.name: score for score in metric.scores()}
    for row, iou in enumerate(IOUS):
        score = scores[f"MaxBoxAccV2@{iou:g}"]
        np.testing.assert_allclose(score.curve["accuracy"], accuracy[1, row])
        assert score.value == pytest.approx(accuracy[1, row].max())
        assert score.threshold["value"] == thresholds[accuracy[1, row].argmax()]
    assert scores["MaxBoxAccV2"].value == pytest.approx(accuracy[1].max(axis=1).mean())
    assert scores["MaxBoxAccV1@0.5"].value == pytest.approx(accuracy[0, 1].max())
    fixed = {score.name: score for score in metric.at(float(thresholds[3]), "val")}
    assert fixed["BoxAccV2@0.7"].value == pytest.approx(accuracy[1, 2, 3])
    assert fixed["BoxAccV1@0.5"].value == pytest.approx(accuracy[0, 1, 3])
    assert {score.threshold["provenance"] for score in fixed.values()} == {"val"}


def test_a_perfect_mask_under_both_box_rules() -> None:
    # an object of 10 pixels in the middle: the inclusive rule sees 11 x 11 against 10 x 10 for inclusive truth
    score_map = np.zeros((30, 30))
    score_map[10:20, 10:20] = 1.0
    for box_rule, truth, found in (
        ("half_open", (10, 10, 20, 20), True),
        ("wsolevaluation", (10, 10, 20, 20), True),
        ("wsolevaluation", (10, 10, 19, 19), False),
    ):
        metric = MaxBoxAcc((0.83,), [0.5], box_rule=box_rule)
        metric.update(score_map, [Box(truth, 1)])
        assert metric.scores()[0].value == float(found)


def test_the_224_grid_moves_map_and_boxes() -> None:
    score_map = np.zeros((56, 112), np.float32)
    score_map[14:28, 28:56] = 1.0
    metric = MaxBoxAcc((0.7,), [0.5], grid="224")
    metric.update(score_map, [Box((56.0, 28.0, 112.0, 56.0), 1)], size=(112, 224))
    assert metric.scores()[0].value == 1.0
    metric.update(score_map, [Box((28.0, 14.0, 56.0, 28.0), 1)], size=(112, 224))
    assert metric.scores()[0].value == 0.5


def test_a_constant_map_is_a_miss_and_is_counted() -> None:
    metric = MaxBoxAcc()
    metric.update(np.full((5, 5), 0.2), [Box((0, 0, 5, 5), 1)])
    score = metric.scores()[0]
    assert score.value == 0.0
    assert score.counts == {"image-class pairs": 1, "constant maps": 1}


def test_halves_add_up_and_classes_are_kept_apart() -> None:
    whole, left, right = MaxBoxAcc(), MaxBoxAcc(), MaxBoxAcc()
    for seed in range(6):
        whole.update(*make_pair(seed))
        (left if seed < 3 else right).update(*make_pair(seed))
    left.merge(right)
    assert left.scores() == whole.scores()
    score = whole.scores(ClassSet(("cat", "dog")))[0]
    assert list(score.per_class) == ["cat", "dog"]
    assert np.mean([row["accuracy"] for row in score.per_class.values()]) == pytest.approx(score.value)


def test_nothing_added_is_undefined() -> None:
    assert {score.value for score in MaxBoxAcc().scores()} == {None}


def test_input_that_does_not_fit_is_refused() -> None:
    metric = MaxBoxAcc(thresholds=[0.5])
    box = Box((0, 0, 2, 2), 1)
    with pytest.raises(DataError, match="cat: expected finite scores"):
        metric.update(np.full((4, 4), np.nan), [box], name="cat")
    with pytest.raises(DataError, match=r"exactly one class, but got classes \[1, 2\]"):
        metric.update(np.eye(4), [box, Box((0, 0, 2, 2), 2)])
    with pytest.raises(DataError, match="exactly one class"):
        metric.update(np.eye(4), [])
    with pytest.raises(DataError, match=r"expected the image's size \(8, 8\)"):
        metric.update(np.eye(4), [box], size=(8, 8))
    with pytest.raises(DataError, match=r"threshold 0\.3 was not among"):
        metric.at(0.3)
    with pytest.raises(ConfigError, match="grid: expected one of original, 224"):
        MaxBoxAcc(grid="512")
    with pytest.raises(ConfigError, match="iou_thresholds"):
        MaxBoxAcc((50,))
    with pytest.raises(ConfigError, match="joined"):
        metric.merge(MaxBoxAcc())
