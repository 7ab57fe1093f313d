from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl import compiled
from wsl.evaluate.localization import tree_steps


@pytest.fixture(params=["compiled", "numpy"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if request.param == "numpy":
        return tree_steps
    pytest.importorskip("numba")
    monkeypatch.setenv(compiled.SWITCH, "1")
    return compiled.load_compiled("wsl.evaluate.localization.tree_steps_compiled")


def test_points_go_on_until_the_step_is_0(steps: ModuleType) -> None:
    # code 1 = right, 2 = left, 0 = stay; the frame stays and is one place
    codes = np.zeros((3, 9), np.uint8)
    codes[1, 1:8] = [2, 1, 1, 0, 2, 1, 1]
    offsets = np.zeros(256, np.int64)
    offsets[1:3] = 1, -1
    points = np.array([10, 11, 12, 13, 14, 15, 16, 13])
    roots, labels = steps.follow(codes.ravel(), offsets, points, 9)
    assert roots[labels].tolist() == [0, 13, 13, 13, 13, 0, 0, 13]
    assert len(set(roots.tolist())) == len(roots)


def test_a_long_way_is_followed_to_its_end(steps: ModuleType) -> None:
    codes = np.ones((3, 500), np.uint8)
    codes[1, 400] = 0
    offsets = np.zeros(256, np.int64)
    offsets[1] = 1
    codes[0] = codes[2] = codes[:, 0] = codes[:, -1] = 0
    points = np.arange(501, 990)
    roots, labels = steps.follow(codes.ravel(), offsets, points, 500)
    assert roots[labels].tolist() == [900] * 400 + [0] * 89


def test_the_lower_root_becomes_the_child_at_the_rank_of_the_saddle(steps: ModuleType) -> None:
    labels = np.array([[0, 1, 1, 0], [2, 1, 2, 2], [0, 2, 0, 0]])
    parents, since, order = steps.join(labels, np.array([7, 4, 1]), np.array([9, 8, 5, 6]))
    assert parents.tolist() == [0, 0, 0, 3]
    assert since.tolist() == [0, 7, 4, 0]
    assert order.tolist() == [1, 2, 0, 3]


def test_rows_hold_the_largest_value_of_their_levels(steps: ModuleType) -> None:
    # row 0 at levels 0..4, row 1 at 2 and 3 until row 0 takes it in at rank 2
    tree = np.array([0, 0]), np.array([0, 2]), np.array([1, 0])
    labels, ranks = np.array([0, 1, 1, 0]), np.array([5, 4, 2, 1])
    values = np.array([[3, -3, 3, 1], [8, -8, 8, 2], [9, -1, 9, 9], [4, -4, 4, 4]])
    table = steps.measure(tree, np.array([5, 2]), labels, ranks, np.array([15, 15, 7, 15], np.uint8), values)
    assert table.tolist() == [
        [9, -1, 9, 4],  # level 0: all four points, but the last value of the third does not count
        [9, -1, 9, 2],  # level 1: the third point lies just above it, and row 1 is part of row 0
        *[[3, -3, 3, 1]] * 3,
        *[[8, -8, 8, 2]] * 2,
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_give_the_same(seed: int) -> None:
    pytest.importorskip("numba")
    fast = compiled.load_compiled("wsl.evaluate.localization.tree_steps_compiled")
    if fast is None:
        pytest.skip("switched off")
    generator = np.random.default_rng(seed)
    roots, saddles, count = generator.integers(1, 30, 3)
    peaks = generator.integers(1, 12, roots)
    ranks = -np.sort(-generator.integers(0, 10, saddles))
    labels = generator.integers(0, roots, (saddles, 4))
    meeting = ranks[:, None] <= peaks[labels]  # a saddle lies below the roots it joins
    labels = np.where(meeting.all(axis=1)[:, None], labels, labels[:, :1])
    tree = tree_steps.join(labels, ranks, peaks)
    for plain, quick in zip(tree, fast.join(labels, ranks, peaks), strict=True):
        assert plain.tolist() == quick.tolist()
    lengths = np.maximum(peaks - tree[1], 0)
    owners = generator.integers(0, roots, count)
    given_points = (owners, generator.integers(1, peaks[owners] + 1), generator.integers(0, 16, count).astype(np.uint8))
    values = generator.integers(-9, 9, (count, 4))
    plain = tree_steps.measure(tree, lengths, *given_points, values)
    np.testing.assert_array_equal(plain, fast.measure(tree, lengths, *given_points, values))
