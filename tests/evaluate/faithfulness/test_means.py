"""Means over pairs and over classes."""

from __future__ import annotations

import pytest

from wsl.errors import ConfigError
from wsl.evaluate.faithfulness.means import PairMeans
from wsl.types import ClassSet


def fill(mean: str) -> PairMeans:
    means = PairMeans("test", mean)
    for class_id, value in ((1, 0.0), (1, 0.5), (1, 1.0), (2, 1.0), (2, None)):
        means.update(class_id, {"first": value})
    return means


def test_mean_over_pairs_and_over_classes() -> None:
    assert fill("pairs").scores()[0].value == 0.625
    score = fill("classes").scores(ClassSet(("cat", "dog")))[0]
    assert score.value == 0.75
    assert score.per_class == {"cat": {"mean": 0.5}, "dog": {"mean": 1.0}}
    assert score.counts == {"image-class pairs": 4}
    assert score.conventions == {"mean": "over classes"}


def test_a_name_without_values_has_a_score_of_none() -> None:
    means = PairMeans("test")
    means.update(1, {"undefined": None})
    assert [(score.name, score.value) for score in means.scores()] == [("undefined", None)]


def test_unknown_mean_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of pairs, classes, but got 'images'"):
        PairMeans("test", "images")
