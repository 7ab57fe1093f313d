"""Similarity of maps before and after the network's parameters are made random."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from wsl.errors import DataError
from wsl.evaluate.faithfulness.randomisation import compare_maps, compute_rank_correlation


def draw(seed: int, size: tuple[int, int] = (20, 15)) -> np.ndarray:
    return (np.random.default_rng(seed).integers(0, 40, size) / 40).astype(np.float32)


def test_rank_correlation_is_spearmans_with_ties() -> None:
    first, second = draw(0), draw(1) * 0.5 + draw(0) * 0.5
    expected = spearmanr(first.ravel(), second.ravel()).statistic
    assert compute_rank_correlation(first, second) == pytest.approx(expected)
    assert 0.3 < expected < 0.9


def test_ranks_do_not_depend_on_scale_but_on_sign() -> None:
    score_map = draw(0)
    assert compute_rank_correlation(score_map, score_map**3) == pytest.approx(1)
    assert compute_rank_correlation(score_map, 1 - score_map) == pytest.approx(-1)


def test_the_same_map_is_the_same_and_another_is_not() -> None:
    assert compare_maps(draw(0), draw(0)) == pytest.approx({"rank correlation": 1, "SSIM": 1})
    other = compare_maps(draw(0), draw(1))
    assert abs(other["rank correlation"]) < 0.2
    assert abs(other["SSIM"]) < 0.2


def test_structural_similarity_of_a_single_window() -> None:
    first, second = draw(0, (7, 7)), draw(1, (7, 7))
    a, b = first.astype(float), second.astype(float)
    covariance = ((a - a.mean()) * (b - b.mean())).sum() / 48
    luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
    structure = (2 * covariance + 9e-4) / (a.var(ddof=1) + b.var(ddof=1) + 9e-4)
    assert compare_maps(first, second)["SSIM"] == pytest.approx(luminance * structure)


def test_a_constant_map_has_no_ranks() -> None:
    found = compare_maps(draw(0), np.zeros((20, 15), np.float32))
    assert found["rank correlation"] is None
    assert found["SSIM"] < 0.5


@pytest.mark.parametrize("size", [(3, 3), (4, 9), (6, 6)])
def test_small_maps_have_a_smaller_window(size: tuple[int, int]) -> None:
    assert compare_maps(draw(0, size), draw(0, size))["SSIM"] == pytest.approx(1)


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="first map is 20x15 but second map is 15x20"):
        compare_maps(draw(0), draw(0, (15, 20)))
    with pytest.raises(DataError, match="at least 3 pixels"):
        compare_maps(draw(0, (2, 9)), draw(0, (2, 9)))
