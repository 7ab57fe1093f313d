from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import refine_methods
from wsl.errors import ConfigError
from wsl.refine import pamr
from wsl.refine.pamr import compute_pamr, list_offsets
from wsl.refine.refiner import RefineInput, build_refiner


def random_pair(size: tuple[int, int], planes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    image[: size[0] // 2] = 90  # a flat part, where the spread is zero
    return image, rng.random((planes, *size), dtype=np.float32)


@settings(max_examples=8, deadline=None)
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from([(1,), (1, 2), (1, 3, 6)]),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_against_the_oracle(size: tuple[int, int], dilations: tuple[int, ...], iterations: int, seed: int) -> None:
    image, evidence = random_pair(size, 2, seed)
    ours = compute_pamr(image, evidence, iterations, dilations)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, refine_methods.pamr(image, evidence, iterations, dilations), atol=2e-5)


def test_published_settings_against_the_oracle() -> None:
    image, evidence = random_pair((9, 8), 2, 5)
    wanted = refine_methods.pamr(image, evidence, 10, (1, 2, 4, 8, 12, 24))
    np.testing.assert_allclose(compute_pamr(image, evidence, 10, (1, 2, 4, 8, 12, 24)), wanted, atol=5e-5)


def test_strips_and_memory_limit_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    image, evidence = random_pair((13, 11), 2, 3)
    whole = compute_pamr(image, evidence, 3, (1, 4))
    monkeypatch.setattr(pamr, "STRIP_PIXELS", 30)
    strips = compute_pamr(image, evidence, 3, (1, 4))
    monkeypatch.setattr(pamr, "WEIGHT_BYTES", 0)
    np.testing.assert_array_equal(strips, compute_pamr(image, evidence, 3, (1, 4)))
    np.testing.assert_allclose(strips, whole, atol=1e-6)


def test_one_outlier_pixel_does_not_underflow() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 4] = 255
    evidence = np.full((1, 9, 9), 0.5, np.float32)
    np.testing.assert_allclose(compute_pamr(image, evidence, 2, (1, 2)), 0.5, rtol=1e-5)


def test_offsets() -> None:
    offsets = list_offsets((1, 3))
    assert len(offsets) == len(set(offsets)) == 16
    assert (0, 0) not in offsets
    assert (-3, 3) in offsets


def make_input(background: np.ndarray | None = None) -> RefineInput:
    image, scores = random_pair((20, 26), 2, 7)
    plane = np.full((20, 26), 0.25, np.float32) if background is None else background
    return RefineInput(image, scores, None, (2, 6), plane)


def test_constant_planes_are_left_alone_and_others_refined() -> None:
    inputs = make_input()
    evidence = build_refiner("pamr")(inputs)
    np.testing.assert_array_equal(evidence[0], inputs.background)
    wanted = compute_pamr(inputs.image, inputs.scores, 10, (1, 2, 4, 8, 12, 24))
    np.testing.assert_array_equal(evidence[1:], wanted)


def test_varying_background_is_refined_with_the_scores() -> None:
    inputs = make_input(random_pair((20, 26), 1, 9)[1][0])
    wanted = compute_pamr(inputs.image, inputs.stack(), 2, (1, 2))
    np.testing.assert_array_equal(build_refiner("pamr", iterations=2, dilations=[1, 2])(inputs), wanted)


def test_scale_works_small_and_returns_the_full_size() -> None:
    image = np.full((40, 60, 3), 30, np.uint8)
    image[:, 30:] = 220
    score = np.clip((np.arange(60) - 20) / 20, 0, 1).astype(np.float32)
    scores = np.broadcast_to(score, (1, 40, 60)).copy()
    inputs = RefineInput(image, scores, None, (1,), np.full((40, 60), 0.5, np.float32))
    evidence = build_refiner("pamr", scale=2)(inputs)
    assert evidence.shape == (2, 40, 60)
    before = np.abs(scores[0] - (image[..., 0] > 100)).mean()
    assert np.abs(evidence[1] - (image[..., 0] > 100)).mean() < before
    assert build_refiner("pamr", scale=100)(inputs).shape == (2, 40, 60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "refine.iterations: expected a number of at least 1, but got 0"),
        ({"scale": 1.5}, "refine.scale: expected a whole number"),
        ({"dilations": []}, "refine.dilations: expected different whole numbers"),
        ({"dilations": [1, 1]}, "refine.dilations"),
        ({"dilations": [0.5]}, "refine.dilations"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_refiner("pamr", **options)
