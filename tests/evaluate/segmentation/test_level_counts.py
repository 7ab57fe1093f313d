from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.evaluate.segmentation.level_counts import LevelCounter, find_best
from wsl.seeds.level_search import LevelSearch


def make_levels(seed: int, kind: str) -> np.ndarray:
    """Levels far apart, many, or so close that several share a bucket."""
    generator = np.random.default_rng(seed)
    values = {
        "few": generator.random(int(generator.integers(1, 6))),
        "many": np.arange(1000) / 1000,
        "close": 0.5 + np.arange(3) * 6e-8,
        "crowded": 0.25 + np.arange(40) * 3e-8,
        "ends": np.array([0.0, 1.0]),
    }
    return np.unique(values[kind].astype(np.float32))


def make_scores(seed: int, levels: np.ndarray, count: int) -> np.ndarray:
    """Levels themselves, their float32 neighbours, values outside of [0, 1] and random ones."""
    generator = np.random.default_rng(seed)
    outside = np.array([-1e38, -0.5, -0.0, 0.0, 1.0, 1.5, 1e38, 1e-45], np.float32)
    near = [np.nextafter(levels, np.float32(end), dtype=np.float32) for end in (-1, 2)]
    values = np.concatenate([levels, *near, outside, generator.random(20).astype(np.float32)])
    return generator.choice(values, (count, 7, 9))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["few", "many", "close", "crowded", "ends"]),
    count=st.integers(1, 3),
    compiled=st.booleans(),
)
def test_agrees_with_one_comparison_per_level(seed: int, kind: str, count: int, compiled: bool) -> None:
    levels = make_levels(seed, kind)
    scores = make_scores(seed, levels, count)
    truth = np.random.default_rng(seed).choice(np.array([0, 1, 254, 255], np.uint8), scores.shape[1:])
    expected = np.zeros((256, count, len(levels) + 1), np.int64)
    for y, x in np.ndindex(truth.shape):
        winner = int(np.argmax(scores[:, y, x]))
        expected[truth[y, x], winner, int((levels < scores[winner, y, x]).sum())] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSL_COMPILED", str(int(compiled)))
        counts = LevelCounter(levels).count(scores, truth)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("kind", ["few", "many", "close", "crowded", "ends"])
def test_exceeded_levels_are_those_of_a_binary_search(kind: str) -> None:
    levels = make_levels(1, kind)
    best = make_scores(2, levels, 1)[0]
    np.testing.assert_array_equal(LevelSearch(levels).find_exceeded(best), np.searchsorted(levels, best, side="left"))


def test_the_first_of_equal_scores_is_the_best() -> None:
    scores = np.array([[[0.5, 0.1, 0.2]], [[0.5, 0.3, 0.2]], [[0.4, 0.3, 0.9]]], np.float32)
    best, winner = find_best(scores)
    assert winner.tolist() == scores.argmax(axis=0).tolist() == [[0, 1, 2]]
    assert best.tolist() == scores.max(axis=0).tolist()


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_maps_that_are_not_contiguous(compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_COMPILED", compiled)
    levels = np.array([0.2, 0.6], np.float32)
    scores = np.random.default_rng(0).random((6, 8, 2)).astype(np.float32)
    truth = np.random.default_rng(0).integers(0, 3, (6, 8)).astype(np.uint8)
    plain = LevelCounter(levels).count(
        np.ascontiguousarray(scores.transpose(2, 0, 1)[:, ::-1, ::2]), truth[::-1, ::2].copy()
    )
    turned = LevelCounter(levels).count(scores.transpose(2, 0, 1)[:, ::-1, ::2], truth[::-1, ::2])
    np.testing.assert_array_equal(turned, plain)
