from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import refine_random_walk as oracle
from wsl.errors import ConfigError, DataError
from wsl.refine.walk.affinity import Affinity, cut_borders
from wsl.refine.walk.features import compute_colour_affinity, compute_feature_affinity
from wsl.refine.walk.gradient import compute_gradient_edges
from wsl.refine.walk.offsets import list_half_offsets, list_path
from wsl.refine.walk.paths import compute_path_affinity

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def dense(affinity: Affinity) -> np.ndarray:
    """(N, N) with A_ii = 1."""
    height, width = affinity.size
    matrix = np.eye(height * width)
    for plane, (dy, dx) in zip(affinity.values, affinity.offsets, strict=True):
        for y, x in np.ndindex(height, width):
            if 0 <= x + dx < width and y + dy < height:
                here, there = y * width + x, (y + dy) * width + x + dx
                matrix[here, there] = matrix[there, here] = plane[y, x]
    return matrix


@pytest.fixture(params=["1", "0"], ids=["compiled", "numpy"])
def _form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_COMPILED", request.param)


def test_published_numbers_of_offsets() -> None:
    assert [len(list_half_offsets(radius)) for radius in (1, 2, 5, 10)] == [0, 4, 34, 152]


def test_paths_by_hand() -> None:
    assert set(list_path((0, 3))) == {(0, 0), (0, 1), (0, 2), (0, 3)}
    assert set(list_path((1, 1))) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert set(list_path((2, -2))) == {(0, 0), (0, -1), (1, 0), (1, -1), (1, -2), (2, -1), (2, -2)}


@settings(max_examples=15, deadline=None)
@given(SIZES, st.integers(1, 5), st.integers(0, 99))
def test_path_maximum_against_the_oracle(size: tuple[int, int], radius: int, seed: int) -> None:
    edges = np.random.default_rng(seed).random(size)
    np.testing.assert_allclose(
        dense(compute_path_affinity(edges, radius)), oracle.path_affinity(edges, radius), atol=1e-6
    )


@pytest.mark.usefixtures("_form")
@pytest.mark.parametrize(("shape", "radius"), [((5, 6, 7), 5), ((1, 1, 1), 5), ((3, 1, 9), 4), ((17, 9, 4), 3)])
def test_features_and_colours_against_the_oracle(shape: tuple[int, int, int], radius: int) -> None:
    features = np.random.default_rng(3).normal(size=shape)
    ours = compute_feature_affinity(features, radius)
    np.testing.assert_allclose(dense(ours), oracle.feature_affinity(features, radius), atol=1e-6)
    published = cut_borders(ours, "published")
    np.testing.assert_allclose(dense(published), oracle.feature_affinity(features, radius, published=True), atol=1e-6)
    colours = compute_colour_affinity(features * 50, radius, 30.0)
    np.testing.assert_allclose(dense(colours), oracle.colour_affinity(features * 50, radius, 30.0), atol=1e-6)


def test_published_borders_leave_corners_alone() -> None:
    full = compute_feature_affinity(np.zeros((1, 12, 12)), 5)
    assert dense(cut_borders(full, "published"))[-1].sum() == 1
    assert dense(cut_borders(full, "full"))[5 * 12 + 5].sum() == 2 * 34 + 1


@pytest.mark.parametrize("shape", [(3, 9, 8), (1, 1, 5), (2, 1, 1)])
def test_gradient_against_the_oracle(shape: tuple[int, int, int]) -> None:
    features = np.random.default_rng(5).integers(0, 256, shape).astype(np.float32)
    np.testing.assert_allclose(compute_gradient_edges(features), oracle.gradient_edges(features), atol=1e-5)


def test_faint_noise_and_flat_images_have_no_certain_edge() -> None:
    noise = np.random.default_rng(0).normal(100, 0.2, (1, 20, 20))
    assert compute_gradient_edges(noise).max() < 0.3
    assert not compute_gradient_edges(np.full((3, 6, 6), 77, np.uint8)).any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compute_path_affinity(np.full((3, 3), np.nan)), DataError, "expected values in"),
        (lambda: compute_path_affinity(np.full((3, 3), 1.5)), DataError, "expected values in"),
        (lambda: compute_path_affinity(np.zeros((1, 3, 3))), DataError, "expected floating"),
        (lambda: compute_path_affinity(np.zeros((0, 3))), DataError, "expected floating"),
        (lambda: compute_feature_affinity(np.full((2, 3, 3), np.inf)), DataError, "NaN or inf"),
        (lambda: compute_feature_affinity(np.zeros((3, 3))), DataError, "expected"),
        (lambda: compute_gradient_edges(np.zeros((3, 3))), DataError, "expected"),
        (lambda: compute_colour_affinity(np.zeros((2, 3, 3)), 5, 0), ConfigError, "sigma"),
        (lambda: list_half_offsets(0), ConfigError, "radius"),
        (lambda: Affinity(np.ones((4, 3, 3), np.float32), 2), DataError, "outside"),
        (lambda: Affinity(np.ones((3, 3, 3), np.float32), 2), DataError, "for radius 2"),
        (lambda: cut_borders(compute_path_affinity(np.zeros((3, 3))), "fulll"), ConfigError, "Did you mean: full"),
    ],
)
def test_bad_input(call, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        call()
