"""Interpolation, fusion and normalisation against the literal steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.oracles.cam_fusion import interpolate, irn_high_resolution, irn_level
from wsl.cam.preset import PRESETS, Preset
from wsl.cam.pyramid import MapPyramid, fuse, normalise, resize_map

SIZES = [((3, 4), (9, 14)), ((1, 1), (5, 3)), ((5, 7), (1, 1)), ((6, 5), (4, 3)), ((2, 9), (31, 9)), ((4, 1), (17, 2))]


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("cells", "size"), SIZES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_interpolation_equals_the_loops_and_torch(
    cells: tuple[int, int], size: tuple[int, int], align_corners: bool
) -> None:
    raw = draw(cells)
    found = resize_map(raw, size, align_corners)
    assert found.shape == size
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, interpolate(raw, size, align_corners), atol=1e-5)
    other = functional.interpolate(
        torch.from_numpy(raw)[None, None], size, mode="bilinear", align_corners=align_corners
    )
    np.testing.assert_allclose(found, other[0, 0].numpy(), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 60)] * 2), st.booleans())
def test_interpolation_stays_between_minimum_and_maximum(
    cells: tuple[int, int], size: tuple[int, int], align_corners: bool
) -> None:
    raw = draw(cells)
    found = resize_map(raw, size, align_corners)
    assert found.min() >= raw.min() - 1e-5
    assert found.max() <= raw.max() + 1e-5
    if size[1] == 1:
        return  # with aligned corners a single pixel takes the first cell, as in torch
    flipped = resize_map(np.ascontiguousarray(raw[:, ::-1]), size, align_corners)
    np.testing.assert_allclose(flipped[:, ::-1], found, atol=2e-5)


def test_aligned_corners_keep_the_corner_values() -> None:
    raw = draw((4, 6))
    found = resize_map(raw, (49, 81), align_corners=True)
    np.testing.assert_array_equal(found[[0, 0, -1, -1], [0, -1, 0, -1]], raw[[0, 0, -1, -1], [0, -1, 0, -1]])
    np.testing.assert_allclose(found[::16, ::16], raw, atol=1e-6)  # cells lie 16 pixels apart


@pytest.mark.parametrize("size", [(37, 50), (16, 33), (1, 1), (17, 2)])
def test_irn_fusion_equals_the_literal_steps(size: tuple[int, int]) -> None:
    signed = [(draw((2, h, w), h), draw((2, h, w), h + 1)) for h, w in ((3, 4), (2, 2), (5, 6), (6, 8))]
    expected = []
    for row in range(2):
        expected.append(irn_high_resolution([irn_level(a[row], b[row]) for a, b in signed], size))
    levels = [np.maximum(a, 0) + np.maximum(b, 0)[:, :, ::-1] for a, b in signed]
    found = fuse(MapPyramid("a", tuple(levels), (3, 5), size), PRESETS["irn"])
    assert found.scores.shape == (2, *size)
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, np.stack(expected), atol=2e-5)


def in_torch(level: np.ndarray, size: tuple[int, ...], preset: Preset) -> np.ndarray:
    if preset.raw_normaliser == "min_max":
        low, high = level.min(), level.max()
        level = (level - low) / (high - low + preset.epsilon)
    options = {"mode": "bilinear", "align_corners": preset.align_corners}
    return functional.interpolate(torch.from_numpy(level)[None, None], size, **options)[0, 0].numpy()


# wsolevaluation's cubic resizing is checked against OpenCV's formula below: torch's cubic is the same one
@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"wsolevaluation"}))
def test_every_preset_in_torch(name: str) -> None:
    preset, size = PRESETS[name], (21, 34)
    levels = tuple(draw((2, h, w), h) for h, w in ((3, 4), (5, 7)))
    found = fuse(MapPyramid("a", levels, (1, 2), size), preset).scores
    rounded = tuple(-(-side // preset.round_up) * preset.round_up for side in size)
    for row in range(2):
        first, second = (in_torch(level[row], rounded, preset)[: size[0], : size[1]] for level in levels)
        total = first + second if preset.scale_fusion == "sum" else np.maximum(first, second)
        total = np.maximum(total, 0) if preset.relu == "fused" else total
        low, high, e = total.min(), total.max(), preset.epsilon
        expected = {
            "max": total / (high + e),
            "min_max": (total - low) / (high - low + e),
            "seam": np.where(total < low + e, 0, (total - low - e) / (high - low + e)),
            "none": total,
        }[preset.normaliser]
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


def test_bicubic_is_that_of_torch() -> None:
    level, preset = draw((1, 5, 7), 3), PRESETS["wsolevaluation"]
    found = fuse(MapPyramid("a", (level,), (1,), (21, 34)), preset).scores
    total = functional.interpolate(torch.from_numpy(level)[None], (21, 34), mode="bicubic")[0].numpy()
    np.testing.assert_allclose(found, (total - total.min()) / (total.max() - total.min()), atol=1e-4)


def test_layers_are_normalised_then_fused() -> None:
    levels = (np.array([[[1.0, 2.0]]], np.float32), np.array([[[8.0, 2.0]]], np.float32))
    maps = [np.array([0.5, 1.0]), np.array([1.0, 0.25])]
    highest = [np.tanh(2 * each) for each in maps]
    expected = {
        "mean": np.mean(maps, 0), "max": np.max(maps, 0), "product": np.prod(maps, 0), "tanh_max": np.max(highest, 0)
    }  # fmt: skip
    for fusion, each in expected.items():
        preset = Preset(layer_fusion=fusion, epsilon=0.0)
        found = fuse(MapPyramid("a", levels, (1,), (1, 2), num_layers=2), preset).scores
        np.testing.assert_allclose(found[0, 0], each / each.max(), rtol=1e-6, err_msg=fusion)


def test_layers_and_scales_together() -> None:
    """Levels are layer by layer: each layer's scales are added before the layers are fused."""
    levels = tuple(draw((1, 2, 3), seed) for seed in range(4))
    preset = Preset(layer_fusion="max")
    found = fuse(MapPyramid("a", levels, (1,), (4, 6), num_layers=2), preset).scores
    parts = [fuse(MapPyramid("a", levels[first : first + 2], (1,), (4, 6)), preset).scores for first in (0, 2)]
    np.testing.assert_allclose(found, np.maximum(*parts), atol=2e-5)


def test_scales_may_be_fused_by_their_maximum() -> None:
    levels = (np.full((1, 2, 2), 1.0, np.float32), np.array([[[0.5, 4.0], [0.5, 4.0]]], np.float32))
    preset = Preset(scale_fusion="max", normaliser="none")
    found = fuse(MapPyramid("a", levels, (1,), (2, 2)), preset).scores
    np.testing.assert_array_equal(found, [[[1, 4], [1, 4]]])


RAMP = np.array([[-1.0, 0.0], [1.0, 3.0]], np.float32)


@pytest.mark.parametrize(
    ("normaliser", "expected"),
    [
        ("max", [[-1 / 3, 0], [1 / 3, 1]]),
        ("min_max", [[0, 0.25], [0.5, 1]]),
        ("none", [[-1, 0], [1, 3]]),
        ("seam", [[0, 0.25], [0.5, 1]]),
    ],
)
def test_normalisers_by_hand(normaliser: str, expected: list[list[float]]) -> None:
    found = normalise(RAMP, Preset(normaliser=normaliser, epsilon=0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_epsilon_counts() -> None:
    assert normalise(np.ones((1, 1), np.float32), Preset(epsilon=1.0)).item() == 0.5


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("value", [0.0, 7.0, -2.0])
def test_constant_maps_are_finite_and_in_range(name: str, value: float) -> None:
    found = fuse(MapPyramid("a", (np.full((1, 3, 3), value, np.float32),), (1,), (9, 9)), PRESETS[name]).scores
    kept = value > 0 and PRESETS[name].normaliser == "max"  # it is evidence everywhere, not nowhere
    np.testing.assert_allclose(found, 1.0 if kept else 0.0, atol=1e-5)


def test_no_class_gives_no_map() -> None:
    found = fuse(MapPyramid("a", (np.zeros((0, 3, 3), np.float32),), (), (9, 8)), PRESETS["irn"])
    assert found.scores.shape == (0, 9, 8)
    assert found.class_scores.shape == (0,)


def test_class_scores_follow_the_classes_of_the_maps() -> None:
    pyramid = MapPyramid(
        "a", (np.zeros((2, 1, 1), np.float32),), (5, 8), (3, 3), np.array([0.1, 0.7], np.float32), (2, 5)
    )  # fmt: skip
    np.testing.assert_allclose(pyramid.class_scores, [0.7, np.nan], rtol=1e-6)
