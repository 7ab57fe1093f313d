from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsl.errors import ConfigError
from wsl.quality.selection import keep_best

CONFIDENCES = {"c": 0.5, "a": 0.5, "b": 0.9, "d": 0.1}


@pytest.mark.parametrize(
    ("keep", "kept"), [(0, ""), (0.25, "b"), (0.26, "ba"), (0.5, "ba"), (0.75, "bac"), (1, "abcd")]
)
def test_the_best_are_kept_and_equal_ones_by_id(keep: float, kept: str) -> None:
    assert keep_best(CONFIDENCES, keep) == set(kept)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 3), max_size=9), st.integers(0, 10))
def test_nothing_kept_is_worse_than_anything_left_out(confidences: dict[str, float], tenths: int) -> None:
    kept = keep_best(confidences, tenths / 10)
    assert len(kept) == -(-tenths * len(confidences) // 10)
    left = confidences.keys() - kept
    assert all((-confidences[one], one) < (-confidences[other], other) for one in kept for other in left)
    assert keep_best(dict(reversed(confidences.items())), tenths / 10) == kept


@pytest.mark.parametrize("keep", [-0.1, 1.5, float("nan")])
def test_another_share_is_refused(keep: float) -> None:
    with pytest.raises(ConfigError, match=r"keep: expected a number in \[0, 1\], but got"):
        keep_best(CONFIDENCES, keep)
