from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import refine_random_walk as oracle
from wsl.errors import ConfigError, DataError
from wsl.refine.walk.affinity import Affinity, cut_borders
from wsl.refine.walk.features import compute_colour_affinity, compute_feature_affinity
from wsl.refine.walk.paths import compute_path_affinity
from wsl.refine.walk.power import walk
from wsl.refine.walk.power_torch import walk_torch
from wsl.refine.walk.series import chebyshev_coefficients

ATOL = 1e-5
RNG = np.random.default_rng(1)
EDGES = np.clip(RNG.random((13, 17)) * 1.2 - 0.3, 0, 1)
FEATURES = RNG.normal(size=(6, 13, 17))
VECTORS = RNG.random((3, 13, 17))
CASES = {
    "paths": (compute_path_affinity(EDGES), oracle.path_affinity(EDGES, 5)),
    "features": (compute_feature_affinity(FEATURES), oracle.feature_affinity(FEATURES, 5)),
    "published": (
        cut_borders(compute_feature_affinity(FEATURES), "published"),
        oracle.feature_affinity(FEATURES, 5, published=True),
    ),
    "colour": (compute_colour_affinity(FEATURES * 40), oracle.colour_affinity(FEATURES * 40, 5, 30)),
}


@pytest.mark.parametrize("compiled", ["1", "0"])
@pytest.mark.parametrize("tolerance", [0, 1e-7])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_dense_power(case: str, tolerance: float, compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_COMPILED", compiled)
    affinity, matrix = CASES[case]
    for beta, times in ((10, 8), (8, 6), (1, 0), (2.5, 1)):
        wanted = oracle.dense_walk(VECTORS, matrix, beta, times)
        np.testing.assert_allclose(walk(VECTORS, affinity, beta, 2**times, tolerance), wanted, atol=ATOL)


@pytest.mark.parametrize("tolerance", [0, 1e-7])
def test_torch_walks_several_images_at_once(tolerance: float) -> None:
    small = compute_path_affinity(EDGES[:4, :3], 3)
    walked = walk_torch([VECTORS, VECTORS[:1, :4, :3]], [CASES["paths"][0], small], 10, 256, tolerance)
    np.testing.assert_allclose(walked[0], oracle.dense_walk(VECTORS, CASES["paths"][1], 10, 8), atol=ATOL)
    matrix = oracle.path_affinity(EDGES[:4, :3], 3)
    np.testing.assert_allclose(walked[1], oracle.dense_walk(VECTORS[:1, :4, :3], matrix, 10, 8), atol=ATOL)
    assert walk_torch([], []) == []


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 6), st.integers(0, 70), st.integers(0, 99))
def test_any_size_radius_and_number_of_steps(size: tuple[int, int], radius: int, steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges, vectors = rng.random(size), rng.random((2, *size))
    transition = oracle.path_affinity(edges, radius) ** 3
    transition /= transition.sum(axis=0)
    wanted = vectors.reshape(2, -1) @ np.linalg.matrix_power(transition, steps)
    walked = walk(vectors, compute_path_affinity(edges, radius), 3, steps)
    np.testing.assert_allclose(walked.reshape(2, -1), wanted, atol=ATOL)


def test_constants_stay_means_stay_within_and_flips_commute() -> None:
    affinity = CASES["paths"][0]
    constant = walk(np.full((1, 13, 17), 0.7), affinity)
    np.testing.assert_allclose(constant, 0.7, atol=ATOL)
    walked = walk(VECTORS, affinity)
    assert walked.min() >= VECTORS.min() - ATOL
    assert walked.max() <= VECTORS.max() + ATOL
    flipped = walk(VECTORS[:, ::-1, ::-1], compute_path_affinity(EDGES[::-1, ::-1]))
    np.testing.assert_allclose(flipped[:, ::-1, ::-1], walked, atol=ATOL)


def test_a_closed_edge_lets_nothing_through() -> None:
    edges, vectors = np.zeros((9, 21)), np.zeros((1, 9, 21))
    edges[:, 10], vectors[:, :, :10] = 1, 1
    walked = walk(vectors, compute_path_affinity(edges))
    np.testing.assert_allclose(walked[0, :, :10], 1, atol=ATOL)
    np.testing.assert_allclose(walked[0, :, 10:], 0, atol=ATOL)


def test_classes_walk_alone_or_together_in_any_order() -> None:
    affinity = CASES["colour"][0]
    walked = walk(VECTORS, affinity)
    np.testing.assert_array_equal(walk(VECTORS[::-1], affinity)[::-1], walked)
    np.testing.assert_array_equal(walk(VECTORS[1:2], affinity)[0], walked[1])
    assert walk(VECTORS[:0], affinity).shape == (0, 13, 17)
    assert not walk(np.zeros((1, 13, 17)), affinity).any()


def test_blocks_of_a_larger_grid_against_the_sparse_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    affinity = compute_path_affinity(rng.random((40, 61)) * 0.5)
    vectors = rng.random((2, 40, 61))
    compiled = walk(vectors, affinity)
    monkeypatch.setenv("WSL_COMPILED", "0")
    np.testing.assert_allclose(compiled, walk(vectors, affinity), atol=ATOL)


def test_threads_give_the_same_bytes_and_inputs_stay() -> None:
    affinity, vectors = CASES["paths"][0], VECTORS.astype(np.float32)
    vectors.flags.writeable = False
    alone = walk(vectors, affinity).tobytes()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: walk(vectors, affinity).tobytes(), range(16)))
    assert set(results) == {alone}


@pytest.mark.parametrize("steps", [1, 2, 7, 64, 256, 1024])
def test_series_is_the_power_everywhere(steps: int) -> None:
    coefficients = chebyshev_coefficients(steps, 1e-7)
    x = np.cos(np.linspace(0, np.pi, 501))
    series = np.polynomial.chebyshev.chebval(x, coefficients.astype(np.float64))
    np.testing.assert_allclose(series, x**steps, atol=4e-7)  # the coefficients are float32
    assert len(coefficients) <= min(steps, np.sqrt(2 * steps * np.log(4e7))) + 3


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"vectors": VECTORS[:, :5]}, DataError, r"expected \(K, 13, 17\)"),
        ({"vectors": np.full((1, 13, 17), np.nan)}, DataError, "finite"),
        ({"vectors": -VECTORS}, DataError, "at least 0"),
        ({"vectors": VECTORS.astype(int)}, DataError, "floating"),
        ({"beta": 0}, ConfigError, "beta"),
        ({"beta": np.inf}, ConfigError, "beta"),
        ({"steps": -1}, ConfigError, "steps"),
        ({"steps": 2.5}, ConfigError, "steps"),
        ({"tolerance": 1}, ConfigError, "tolerance"),
    ],
)
def test_bad_input(given: dict, error: type[Exception], words: str) -> None:
    arguments = {"vectors": VECTORS, "affinity": CASES["paths"][0]} | given
    with pytest.raises(error, match=words):
        walk(**arguments)


def test_torch_wants_one_affinity_for_each_image() -> None:
    with pytest.raises(DataError, match="one for each"):
        walk_torch([VECTORS], [])


def test_values_below_float32_range_do_not_count() -> None:
    affinity = Affinity(np.where(CASES["paths"][0].values > 0, np.float32(1e-4), 0), 5)
    np.testing.assert_allclose(walk(VECTORS, affinity, 12), VECTORS, atol=ATOL)
