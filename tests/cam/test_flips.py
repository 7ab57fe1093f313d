"""Maps of an image and its mirror image: how they are joined, and how alike they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.cam_networks import PooledNet, seeded
from tests.oracles.quality_signals import soft_iou
from wsl.cam.engine import compute_pyramids
from wsl.cam.flips import compute_flip_agreement, fuse_flips
from wsl.cam.options import CamOptions
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid


def make_maps(seed: int, classes: int = 2, size: tuple[int, int] = (3, 5)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(classes, *size)).astype(np.float32) for _ in range(2))  # type: ignore[return-value]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_agreement_equals_loops_and_does_not_depend_on_the_order(seed: int, size: tuple[int, int]) -> None:
    first, second = make_maps(seed, 3, size)
    found = compute_flip_agreement(torch.tensor(first), torch.tensor(second)).numpy()
    expected = [soft_iou(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(compute_flip_agreement(torch.tensor(second), torch.tensor(first)).numpy(), found)


def test_equal_maps_agree_wholly_and_empty_ones_are_not_known() -> None:
    maps = torch.tensor([[[1.0, 2.0]], [[-1.0, 0.0]], [[1.0, 0.0]]])
    turned = torch.tensor([[[1.0, 2.0]], [[-3.0, -1.0]], [[-1.0, 4.0]]])
    assert compute_flip_agreement(maps, turned).tolist()[0] == 1.0
    assert np.isnan(compute_flip_agreement(maps, turned)[1])
    assert compute_flip_agreement(maps, turned).tolist()[2] == 0.0


def test_the_mirrored_map_is_turned_back_before_it_is_compared() -> None:
    maps = torch.tensor([[[0.0, 1.0, 3.0]]])
    fused = fuse_flips(maps, maps.flip(-1), PRESETS["irn"])
    np.testing.assert_array_equal(fused.maps, 2 * maps.numpy())
    assert fused.agreement.tolist() == [1.0]
    assert np.isnan(fuse_flips(maps, None, PRESETS["irn"]).agreement).all()


@pytest.mark.parametrize("flip", [True, False])
def test_the_engine_stores_one_row_per_level(flip: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (41, 66, 3), dtype=np.uint8)
    options = CamOptions(scales=(1.0, 0.5), flip=flip)
    groups = {1: (0,), 2: (1, 4)}
    model = seeded(PooledNet())
    found = compute_pyramids(model, [image, image], ["a", "b"], [(1, 2), ()], groups, options)
    assert found[0].flip_agreement.shape == ((2, 2) if flip else (0, 0))
    assert found[1].flip_agreement.shape == ((2, 0) if flip else (0, 0))
    assert np.isnan(found[0].class_agreement).all() != flip
    (mirrored,) = compute_pyramids(model, [image[:, ::-1].copy()], ["a"], [(1, 2)], groups, options)
    np.testing.assert_allclose(mirrored.flip_agreement, found[0].flip_agreement, atol=1e-4)


def test_the_mean_leaves_out_what_is_not_known() -> None:
    nan = np.nan
    agreement = np.array([[0.5, nan, nan], [0.7, 0.2, nan]], np.float32)
    levels = tuple(np.ones((3, 1, 1), np.float32) for _ in range(2))
    pyramid = MapPyramid("a", levels, (1, 2, 3), (1, 1), flip_agreement=agreement)
    np.testing.assert_allclose(pyramid.class_agreement, [0.6, 0.2, nan], rtol=1e-6)
    chosen = pyramid.select([2, 0])
    assert chosen.class_ids == (3, 1)
    assert chosen.flip_agreement.flags.c_contiguous
    np.testing.assert_allclose(chosen.class_agreement, [nan, 0.6], rtol=1e-6)
    assert MapPyramid("a", levels, (1, 2, 3), (1, 1)).select([1]).flip_agreement.shape == (0, 0)
