from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles.evaluate_decided import precision_by_pixel
from wsl.evaluate.metrics import MetricSet, MetricSettings
from wsl.evaluate.metrics.case import LabelMapCase
from wsl.evaluate.segmentation.decided import precision_scores
from wsl.evaluate.segmentation.image_counts import ImageCounter
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "dog"))
MAPS = arrays(np.uint8, (2, 3, 4), elements=st.sampled_from([0, 1, 2, 255]))


@settings(max_examples=50, deadline=None)
@given(st.lists(MAPS, min_size=0, max_size=3))
def test_precision_against_the_oracle(pairs: list[np.ndarray]) -> None:
    counter = ImageCounter(2, "exclude")
    for index, (truth, prediction) in enumerate(pairs):
        counter.update(truth, prediction, str(index))
    overall, foreground = precision_scores(counter.counts(), CLASSES)
    assert overall.value == precision_by_pixel(pairs, (0, 1, 2))
    assert foreground.value == precision_by_pixel(pairs, (1, 2))
    by_class = [precision_by_pixel(pairs, (each,)) for each in range(3)]
    assert [values["precision"] for values in overall.per_class.values()] == by_class


@pytest.mark.parametrize("policy", ["background", "exclude"])
def test_precision_does_not_depend_on_the_policy(policy: str) -> None:
    truth, prediction = np.array([[0, 0, 1, 1, 2, 255]], np.uint8), np.array([[0, 255, 1, 2, 2, 1]], np.uint8)
    metrics = MetricSet(["precision"], MetricSettings(CLASSES, predicted_ignore=policy))
    metrics.update(LabelMapCase("a", truth, prediction))
    overall, foreground = metrics.scores()
    assert (overall.value, foreground.value) == (3 / 4, 2 / 3)
    assert overall.conventions["predicted 255"] == "exclude"
    assert (overall.counts["decided pixels"], foreground.counts["decided pixels"]) == (4, 3)
    assert foreground.conventions["pixels"] == "those decided for a class"
