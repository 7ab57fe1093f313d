from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.oracles.refine_methods import mean_field
from wsl.errors import ConfigError, DataError, MissingExtraError
from wsl.refine.dense_crf import (
    check_fits_lattice,
    compute_label_unary,
    compute_largest_coordinate,
    compute_mean_field,
    compute_score_unary,
)
from wsl.refine.presets import PRESETS, CrfConstants
from wsl.refine.refiner import RefineInput, build_refiner, label_map_of

pytest.importorskip("pydensecrf", reason="PYDENSECRF MISSING: pip install 'wsl[crf]' to test the dense CRF")


def half_and_half(size: tuple[int, int] = (24, 30)) -> tuple[np.ndarray, np.ndarray]:
    """An image whose right half is bright, and a class score that reaches a little over the edge, blurred."""
    image = np.full((*size, 3), 40, np.uint8)
    image[:, size[1] // 2 :] = 200
    ramp = np.clip((np.arange(size[1]) - size[1] / 2 + 6) / 8, 0, 1).astype(np.float32)
    return image, np.broadcast_to(ramp, size).copy()


def test_label_unary_by_hand() -> None:
    unary = compute_label_unary(np.array([[0, 2, -1]]), 3, 0.7)
    wanted = -np.log([[0.7, 0.15, 1 / 3], [0.15, 0.15, 1 / 3], [0.15, 0.7, 1 / 3]])
    np.testing.assert_allclose(unary[:, 0], wanted, rtol=1e-6)
    assert unary.dtype == np.float32


def test_score_unary_is_clipped_and_not_renormalised() -> None:
    unary = compute_score_unary(np.array([[[0.0]], [[0.5]], [[1.0]]], np.float32))
    np.testing.assert_allclose(unary.ravel(), [-np.log(1e-5), -np.log(0.5), 0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("labels", [2, 4])
def test_mean_field_against_all_pairs(labels: int) -> None:
    """The lattice only approximates the kernel; constants in the wrong place would be far outside this tolerance."""
    rng = np.random.default_rng(1)
    image = np.repeat(np.repeat(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8), 4, 0), 4, 1)
    unary = (-np.log(rng.dirichlet(np.ones(labels), (16, 20)))).clip(0, 5).transpose(2, 0, 1)
    constants = CrfConstants(5, 2, 3, 9, 20, 4, "scores")
    ours = compute_mean_field(image, unary.astype(np.float32), constants)
    exact = mean_field(image, unary, 5, (2, 3), (9, 20, 4))
    error = np.abs(ours - exact).mean()
    assert np.mean(ours.argmax(0) == exact.argmax(0)) > 0.97
    assert error < 0.04
    # The bound means something: leaving out either term is much further away.
    for gaussian, bilateral in ((0, 4), (3, 0)):
        partial = CrfConstants(5, 2, gaussian, 9, 20, bilateral, "scores")
        assert np.abs(compute_mean_field(image, unary.astype(np.float32), partial) - exact).mean() > 4 * error


def test_evidence_sums_to_one() -> None:
    image, score = half_and_half()
    inputs = RefineInput(image, score[None], None, (5,), np.full(score.shape, 0.3, np.float32))
    evidence = build_refiner("dense_crf", preset="psa")(inputs)
    np.testing.assert_allclose(evidence.sum(0), 1, atol=1e-5)


def test_labels_move_to_the_edge() -> None:
    image, score = half_and_half()
    seeds = np.where(score > 0.3, 5, 0).astype(np.uint8)
    seeds[(score > 0.1) & (score <= 0.3)] = 255
    inputs = RefineInput(image, score[None], seeds, (5,), np.full(score.shape, 0.3, np.float32))
    refined = label_map_of(build_refiner("dense_crf", preset="irn")(inputs), (5,))
    wanted = np.where(image[..., 0] > 100, 5, 0)
    assert (seeds != wanted).mean() > 0.1
    assert (refined == wanted).all()


def test_without_pairwise_terms_it_is_the_softmax_of_the_unary() -> None:
    image, score = half_and_half()
    inputs = RefineInput(image, score[None], None, (5,), np.full(score.shape, 0.3, np.float32))
    refiner = build_refiner("dense_crf", preset="psa", gaussian_compat=0, bilateral_compat=0)
    clipped = np.clip([inputs.background, score], 1e-5, 1)
    np.testing.assert_allclose(refiner(inputs), clipped / clipped.sum(0), atol=1e-5)


def test_options_replace_the_constants_of_the_preset() -> None:
    refiner = build_refiner("dense_crf", preset="irn", iterations=3, bilateral_srgb=9.0, unary="scores")
    assert refiner.constants == CrfConstants(3, 3, 3, 50, 9.0, 10, "scores")
    assert refiner.needs == "scores"
    assert build_refiner("dense_crf").needs == "seeds"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_runs(preset: str) -> None:
    image, score = half_and_half((9, 11))
    seeds = (score > 0.3).astype(np.uint8)
    inputs = RefineInput(image, score[None], seeds, (1,), np.full(score.shape, 0.3, np.float32))
    assert np.isfinite(build_refiner("dense_crf", preset=preset)(inputs)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "irm"}, "refine.preset: unknown value 'irm'.*Did you mean: irn"),
        ({"unary": "label"}, "Did you mean: labels"),
        ({"iterations": 0}, "refine.iterations: expected a number of at least 1"),
        ({"iterations": 2.5}, "expected a whole number"),
        ({"gaussian_sxy": 0}, "refine.gaussian_sxy: expected a number above 0"),
        ({"bilateral_sxy": np.nan}, "refine.bilateral_sxy"),
        ({"bilateral_srgb": -1}, "refine.bilateral_srgb"),
        ({"bilateral_compat": -1}, "refine.bilateral_compat: expected a number of at least 0"),
        ({"gt_prob": 1.0}, "refine.gt_prob"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_refiner("dense_crf", **options)


def test_lattice_overflow_is_refused() -> None:
    image, score = half_and_half()
    inputs = RefineInput(image, score[None], None, (5,), np.full(score.shape, 0.3, np.float32))
    for option in ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"):
        with pytest.raises(ConfigError, match=f"{option}.* too small for an image of 24x30"):
            build_refiner("dense_crf", preset="psa", **{option: 0.001})(inputs)
    with pytest.raises(DataError, match="30000x30000 with 2 labels is too large"):
        check_fits_lattice((30000, 30000), 2, PRESETS["irn"])


def test_largest_coordinate_by_hand() -> None:
    # d = 1: one feature, scaled by 2 * sqrt(2/3) / sqrt(2); its coordinates are +-that, plus d + 1 for the blur.
    assert compute_largest_coordinate((10.0,)) == pytest.approx(10 * 2 * np.sqrt(1 / 3) + 2)


def test_missing_package_names_two_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    image, score = half_and_half((4, 4))
    inputs = RefineInput(image, score[None], None, (5,), np.full(score.shape, 0.3, np.float32))
    with pytest.raises(MissingExtraError, match=r"pip install 'wsl\[crf\]', or set refine.method=pamr"):
        build_refiner("dense_crf", preset="psa")(inputs)
