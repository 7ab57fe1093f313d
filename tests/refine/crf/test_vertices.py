from __future__ import annotations

import resource

import numpy as np
import pytest

from wsl.compiled import load_compiled
from wsl.refine.crf import DenseField, Kernel
from wsl.refine.crf.lattice import COMPILED, build_lattice
from wsl.refine.crf.simplices import find_simplices
from wsl.refine.crf.vertices import MOST_BITS, Grid, fit_grid, join_vertices


def draw_features(dimension: int, count: int) -> np.ndarray:
    return (np.random.default_rng(dimension).random((dimension, count)) * 6 - 2).astype(np.float32)


@pytest.mark.parametrize("dimension", [2, 3, 5, 7])
def test_wide_coordinates_give_the_same_graph(dimension: int) -> None:
    """Vertices have other numbers, but each corner has the same neighbours' corners."""
    features = draw_features(dimension, 60)
    simplices, grid = find_simplices(features), fit_grid(features)
    corners, after, before = join_vertices(simplices, grid)
    wide = Grid(grid.lows, tuple(2**40 for _ in grid.sides), grid.largest, grid.widest)
    assert wide.bits > MOST_BITS
    wide_corners, wide_after, wide_before = join_vertices(simplices, wide)
    rename = np.zeros(after.shape[1], np.int64)
    rename[corners.ravel()] = wide_corners.ravel()
    rename[-1] = after.shape[1] - 1
    np.testing.assert_array_equal(rename[corners], wide_corners)
    np.testing.assert_array_equal(rename[after], wide_after[:, rename])
    np.testing.assert_array_equal(rename[before], wide_before[:, rename])


@pytest.mark.parametrize("dimension", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("count", [1, 3, 256, 1021])
def test_the_compiled_graph_is_the_same(dimension: int, count: int) -> None:
    """Vertices have the same numbers, whatever the number of blocks, of axes, and of times that the table grows."""
    loops = load_compiled(COMPILED)
    if loops is None:
        pytest.skip("numba is missing or switched off")
    features = draw_features(dimension, count) * 3
    found, wanted = build_lattice(features, loops), build_lattice(features, None)
    np.testing.assert_array_equal(found.corners, wanted.corners)
    np.testing.assert_array_equal(found.after, wanted.after)
    np.testing.assert_array_equal(found.before, wanted.before)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.row_sums, wanted.row_sums, rtol=1e-4)


def test_weights_are_barycentric() -> None:
    weights = find_simplices(draw_features(5, 200)).weights
    assert weights.min() > -1e-5
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)


def test_two_hundred_images_do_not_fill_the_memory() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    peaks = []
    for index in range(200):
        shifted = np.roll(image, index, axis=1)[:, : 40 + index % 20]
        DenseField(shifted, [Kernel(3, 3), Kernel(50, 10, 5)]).infer(np.zeros((2, *shifted.shape[:2])), 2)
        if index in (40, 199):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[1] - peaks[0] < 40_000  # kilobytes; keeping the lattices would take some 500 MB
