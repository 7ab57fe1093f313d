from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import refine_random_walk as oracle
from wsl.errors import ConfigError, DataError
from wsl.refine.walk.attention import compute_attention_affinity, find_token_grid, mask_boxes, spread_attention

ATTENTION = np.random.default_rng(2).random((10, 12, 12)).astype(np.float32)


@pytest.mark.parametrize("layers", [1, 8, 20])
def test_balanced_affinity_against_the_oracle(layers: int) -> None:
    ours = compute_attention_affinity(ATTENTION, layers, 3)
    np.testing.assert_allclose(ours, oracle.attention_affinity(ATTENTION, layers, 3), rtol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=0), 1, atol=1e-3)


def test_raw_sum_as_mctformer() -> None:
    np.testing.assert_allclose(compute_attention_affinity(ATTENTION, 0, 0), ATTENTION.sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(compute_attention_affinity(ATTENTION[0], 8, 0), ATTENTION[0])


def test_steps_are_the_dense_power() -> None:
    matrix = compute_attention_affinity(ATTENTION)
    vectors = np.random.default_rng(3).random((2, 3, 4))
    squared = matrix.astype(np.float64) @ matrix.astype(np.float64)
    for index, plane in enumerate(spread_attention(vectors, matrix, 2)):
        np.testing.assert_allclose(plane.ravel(), squared @ vectors[index].ravel(), rtol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [
        (28 * 28, (448, 448), (28, 28)),
        (24 * 32, (375, 500), (24, 32)),
        (23 * 31, (375, 500), (23, 31)),
        (196, (375, 500), (14, 14)),
        (1, (1, 1), (1, 1)),
    ],
)
def test_token_grids(tokens: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert find_token_grid(tokens, size) == grid


def test_boxes_by_hand() -> None:
    plane = np.zeros((1, 5, 7))
    plane[0, 0, 0] = plane[0, 1, 1] = 1  # joined by a corner: one box of 2 x 2
    plane[0, 4, 5], plane[0, 4, 3] = 0.5, 0.3
    wanted = np.zeros((5, 7), bool)
    wanted[:2, :2] = wanted[4, 5] = True
    np.testing.assert_array_equal(mask_boxes(plane, 0.4)[0], wanted)
    assert not mask_boxes(np.zeros((1, 4, 4)), 0.4).any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compute_attention_affinity(np.ones((2, 3))), DataError, "layers, N, N"),
        (lambda: compute_attention_affinity(np.full((3, 3), np.nan)), DataError, "finite"),
        (lambda: compute_attention_affinity(np.full((3, 3), -1.0)), DataError, "at least 0"),
        (lambda: compute_attention_affinity(np.ones((3, 3)), layers=-1), ConfigError, "layers"),
        (lambda: find_token_grid(769, (375, 500)), DataError, "class tokens"),
        (lambda: spread_attention(np.ones((1, 2, 2)), np.eye(5)), DataError, "one for each token"),
    ],
)
def test_bad_input(call, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        call()
