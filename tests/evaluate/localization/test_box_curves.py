from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.box_curves import BoxCurves, sort_curves


def make_curves(names: tuple[str, ...], first: int = 0, thresholds: tuple[float, ...] = (0.1, 0.4)) -> BoxCurves:
    """Pairs of class `first`, `first` + 1, ..., whose numbers tell which pair they are of."""
    numbers = first + np.arange(len(names))
    best = np.zeros((len(names), 2, len(thresholds))) + numbers[:, None, None] / 10
    return sort_curves(names, numbers, np.array(thresholds), best, (numbers / 100).astype(np.float32))


def test_pairs_are_sorted_and_stay_together() -> None:
    curves = make_curves(("b", "a", "b"))
    assert curves.image_ids == ("a", "b", "b")
    assert curves.class_ids.tolist() == [1, 0, 2]
    assert curves.best[:, 1, 0].tolist() == [0.1, 0.0, 0.2]
    assert curves.shares.tolist() == np.array([0.01, 0, 0.02], np.float32).tolist()


def test_joined_parts_are_the_whole_in_either_order() -> None:
    whole, left, right = make_curves(("c", "a", "b")), make_curves(("c",)), make_curves(("a", "b"), first=1)
    for joined in (left.merge(right), right.merge(left)):
        assert joined.image_ids == whole.image_ids
        for name in ("class_ids", "best", "shares"):
            assert getattr(joined, name).tolist() == getattr(whole, name).tolist()


def test_hits_are_what_reaches_the_iou() -> None:
    curves = make_curves(("a", "b", "c"), first=3)
    assert curves.hits(2, 0.4).tolist() == [[False, False], [True, True], [True, True]]
    with pytest.raises(ConfigError, match="version: expected 1 or 2, but got 0"):
        curves.hits(0, 0.5)


def test_curves_that_do_not_fit_are_refused() -> None:
    curves = make_curves(("a", "b"))
    with pytest.raises(ConfigError, match="same thresholds"):
        curves.merge(make_curves(("c",), thresholds=(0.1, 0.5)))
    with pytest.raises(DataError, match="a pair appears twice"):
        curves.merge(make_curves(("a",)))
    with pytest.raises(DataError, match=r"best \(2, 2, 2\) .* but got \(2,\), \(2, 2, 1\), \(2,\)"):
        BoxCurves(curves.image_ids, curves.class_ids, curves.thresholds, curves.best[:, :, :1], curves.shares)
