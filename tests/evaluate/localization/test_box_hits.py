from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError
from wsl.evaluate.localization.box_hits import COCO_SIZE_LIMITS, BoxHits


def test_counts_by_class_and_size() -> None:
    hits = BoxHits((0.3, 0.5), 2, COCO_SIZE_LIMITS)
    hits.add(1, 0.001, np.array([[0.3, 0.2], [0.5, 0.4]]))  # small
    hits.add(1, 0.03, np.array([[0.9, 0.0], [0.9, 0.9]]))  # large: from the limit on
    hits.add(2, 0.0299, np.array([[0.0, 0.0], [0.0, 0.3]]))  # medium
    assert [hits.count(version, row)[1].tolist() for version in (0, 1) for row in (0, 1)] == [
        [2, 0],
        [1, 0],
        [2, 3],
        [2, 1],
    ]
    assert [hits.count(1, 0, size=size)[0] for size in range(3)] == [1, 1, 1]
    assert hits.count(1, 0, size=1)[1].tolist() == [0, 1]
    pairs, found = hits.count(1, 1, class_id=1)
    assert (pairs, found.tolist(), found.dtype) == (2, [2, 1], np.int64)
    assert hits.class_ids() == [1, 2]
    assert hits.count(0, 0, class_id=7)[0] == 0


def test_sizes_in_words() -> None:
    hits = BoxHits((0.5,), 1, COCO_SIZE_LIMITS)
    assert hits.describe_size(0) == "small: largest true box below 0.00333 of the image"
    assert hits.describe_size(1) == "medium: largest true box from 0.00333 to below 0.03 of the image"
    assert hits.describe_size(2) == "large: largest true box from 0.03 of the image"


@pytest.mark.parametrize("limits", [(0.5,), (0.5, 0.2), (0.0, 0.2), (0.2, 1.0), (0.2, 0.2), (0.1, 0.2, 0.3)])
def test_limits_that_do_not_rise_are_refused(limits: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="size_limits: expected two rising shares"):
        BoxHits((0.5,), 1, limits)
