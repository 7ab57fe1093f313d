"""Sums that are given the table of pairs do what they do by themselves, without counting it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.evaluate.segmentation import confusion
from wsl.evaluate.segmentation.boundary import BoundaryIoU
from wsl.evaluate.segmentation.boundary_f import BoundaryF
from wsl.evaluate.segmentation.confusion import count_pairs
from wsl.evaluate.segmentation.size_bins import SizeBins
from wsl.evaluate.segmentation.trimap import TrimapIoU

SUMS = [BoundaryIoU, BoundaryF, SizeBins, TrimapIoU]


def make_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth, predicted = generator.choice(np.array([0, 1, 2, 255], np.uint8), (2, 20, 24))
    return truth, predicted


@pytest.mark.parametrize("make", SUMS)
@pytest.mark.parametrize("policy", ["background", "exclude"])
def test_known_pairs_change_nothing(make: Any, policy: str) -> None:
    alone, told = make(2, predicted_ignore=policy), make(2, predicted_ignore=policy)
    for seed in range(3):
        truth, predicted = make_maps(seed)
        alone.update(truth, predicted, "a")
        told.update(truth, predicted, "a", count_pairs(truth, predicted))
    assert told.scores() == alone.scores()


@pytest.mark.parametrize("make", SUMS)
def test_known_pairs_are_not_counted_but_checked(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predicted = make_maps(0)
    pairs, sizes = count_pairs(truth, predicted), []
    count = confusion.cv2.calcHist

    def spy(images: Any, *rest: Any) -> Any:
        sizes.append(images[0].size)
        return count(images, *rest)

    monkeypatch.setattr(confusion.cv2, "calcHist", spy)
    make(2).update(truth, predicted, "a", pairs)
    assert truth.size not in sizes  # the rings of a trimap are counted by themselves
    with pytest.raises(DataError, match=r"a: .*expected values 0..1 and 255, but found 2"):
        make(1).update(truth, predicted, "a", pairs)
