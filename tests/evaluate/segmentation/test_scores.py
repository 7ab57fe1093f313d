from __future__ import annotations

import pickle

import numpy as np
import pytest

from wsl.errors import ConfigError
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_score, segmentation_scores
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "dog"))


def make_confusion() -> Confusion:
    confusion = Confusion(2, "exclude")
    truth = np.array([[0, 0, 0, 1], [1, 1, 255, 0]], np.uint8)
    predicted = np.array([[0, 0, 1, 1], [1, 255, 1, 0]], np.uint8)
    confusion.update(truth, predicted)
    return confusion


def test_hand_worked_score_names_its_conventions() -> None:
    score = segmentation_score(make_confusion(), CLASSES)
    assert score.value == pytest.approx((3 / 4 + 2 / 3) / 2)  # dog is in neither map
    assert score.per_class["cat"]["iou"] == pytest.approx(2 / 3)
    assert score.per_class["dog"]["iou"] is None
    assert list(score.per_class) == ["background", "cat", "dog"]
    assert score.conventions["predicted 255"] == "exclude"
    assert score.conventions["absent classes"] == "skip"
    assert score.counts == {
        "images": 1,
        "scored pixels": 6,
        "pixels without ground truth": 1,
        "excluded pixels": 1,
        "predicted 255": 1,
    }


def test_the_scores_beside_it() -> None:
    values = {score.name: score.value for score in segmentation_scores(make_confusion(), CLASSES, "zero")}
    assert values["mIoU"] == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)
    assert values["mIoU foreground"] == pytest.approx((2 / 3 + 0) / 2)
    assert values["pixel accuracy"] == pytest.approx(5 / 6)
    assert values["coverage"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("policy", ["background", "exclude"])
def test_coverage_does_not_depend_on_the_policy(policy: str) -> None:
    truth, predicted = np.array([[0, 0, 1, 1, 2, 255]], np.uint8), np.array([[0, 255, 1, 255, 255, 255]], np.uint8)
    confusion = Confusion(2, policy)
    confusion.update(truth, predicted)
    mean, _, _, coverage = segmentation_scores(pickle.loads(pickle.dumps(confusion)), CLASSES)  # noqa: S301
    assert coverage.value == 2 / 5
    assert (mean.counts["predicted 255"], mean.counts["excluded pixels"]) == (3, 3 * (policy == "exclude"))


def test_names_must_fit() -> None:
    with pytest.raises(ConfigError, match="2 classes, but 1 names"):
        segmentation_score(make_confusion(), ClassSet(("cat",)))


def test_background_can_be_left_out_of_the_mean() -> None:
    score = segmentation_score(make_confusion(), CLASSES, background="exclude")
    assert score.value == pytest.approx(2 / 3)
    assert score.conventions["background"] == "left out of the mean"
    assert segmentation_score(make_confusion(), CLASSES).conventions["background"] == "in the mean"
    mean, foreground, accuracy, _ = segmentation_scores(make_confusion(), CLASSES, background="exclude")
    assert mean.value == foreground.value
    assert accuracy.value == pytest.approx(5 / 6)
    assert accuracy.conventions["background"] == "in the mean"
    with pytest.raises(ConfigError, match="background: expected one of include, exclude"):
        segmentation_score(make_confusion(), CLASSES, background="skip")


def test_coverage_of_each_class_is_that_of_its_true_pixels() -> None:
    coverage = segmentation_scores(make_confusion(), CLASSES)[-1]
    shares = {name: values["coverage"] for name, values in coverage.per_class.items()}
    assert shares == {"background": 1.0, "cat": pytest.approx(2 / 3), "dog": None}
