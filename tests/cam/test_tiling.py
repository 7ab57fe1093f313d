"""Tiles cover the image, and cells that cannot see a tile's border keep their values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.diagnosis import forget_warnings
from wsl.cam.engine import compute_pyramids
from wsl.cam.method import METHODS, list_methods
from wsl.cam.options import CamOptions
from wsl.cam.tiling import GRID, Tile, plan_tiles, stitch
from wsl.errors import ConfigError

IMAGE = np.random.default_rng(3).integers(0, 256, (150, 230, 3), dtype=np.uint8)
GROUPS = {1: (0,), 2: (1, 2)}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(64, 400), st.integers(0, 32))
def test_tiles_cover_everything_and_share_the_overlap(height: int, width: int, side: int, overlap: int) -> None:
    seen = np.zeros((height, width), bool)
    tiles = plan_tiles((height, width), side, overlap)
    for tile in tiles:
        assert 0 <= tile.top < tile.bottom <= height
        assert 0 <= tile.left < tile.right <= width
        assert tile.bottom - tile.top <= side
        assert tile.top % GRID == tile.left % GRID == 0
        seen[tile.top : tile.bottom, tile.left : tile.right] = True
    assert seen.all()
    tops = sorted({(tile.top, tile.bottom) for tile in tiles})
    assert all(first[1] - second[0] >= overlap for first, second in pairwise(tops))


def test_a_small_image_is_one_tile() -> None:
    assert plan_tiles((60, 70), 70, 16) == [Tile(0, 0, 60, 70)]


def test_stitching_takes_the_deepest_cell() -> None:
    tiles = [Tile(0, 0, 32, 64), Tile(0, 32, 32, 96)]
    left, right = torch.zeros(1, 1, 8), torch.ones(1, 1, 8)  # cells of 8 pixels, both see cells 4 to 7
    whole = stitch([left, right], tiles)
    assert whole.shape == (1, 1, 12)
    # distances to the cut: left 3 2 1 0, right 0 1 2 3
    assert whole[0, 0].tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("method", [name for name in list_methods() if METHODS.get(name).local])
@pytest.mark.parametrize("flip", [False, True])
def test_the_map_of_tiles_is_the_map_of_the_whole(method: str, flip: bool) -> None:
    """The network sees 7 pixels, the overlap is more: CAM in tiles is CAM."""
    model = seeded(PooledNet())
    common = {"method": method, "scales": (1.0, 0.6), "flip": flip}
    tiled = CamOptions(**common, tile=96, tile_overlap=32)  # type: ignore[arg-type]
    (whole,) = compute_pyramids(model, [IMAGE], ["a"], [(1, 2)], GROUPS, CamOptions(**common))  # type: ignore[arg-type]
    (parts,) = compute_pyramids(model, [IMAGE], ["a"], [(1, 2)], GROUPS, tiled)
    for first, second in zip(parts.levels, whole.levels, strict=True):
        assert first.shape == second.shape
        # a group weighs its outputs by the tile's own softmax: only the first class is the same everywhere
        np.testing.assert_allclose(first[0], second[0], atol=1e-5 * np.abs(second[0]).max())


def test_methods_that_weigh_tiles_by_themselves_are_told(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    for method in ("cam", "eigen_cam"):
        options = CamOptions(method=method, scales=(1.0,), tile=96, tile_overlap=32)
        compute_pyramids(seeded(PooledNet()), [IMAGE], ["a"], [(1,)], GROUPS, options)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("EigenCam: every tile is weighed by itself")


def test_classes_are_chosen_by_the_whole_image() -> None:
    model = seeded(PooledNet())
    options = CamOptions(scales=(1.0,), tile=96, tile_overlap=0, class_threshold=0.0)
    (found,) = compute_pyramids(model, [IMAGE], ["a"], [None], GROUPS, options)
    assert found.class_ids == (1, 2)
    assert found.probabilities.shape == (2,)


def test_bad_tiles_are_named() -> None:
    with pytest.raises(ConfigError, match=r"cam.tile: expected at least 64 pixels or null, but got 10"):
        CamOptions(tile=10)
    with pytest.raises(ConfigError, match=r"cam.tile_overlap: expected 0 to half of cam.tile=96, but got 60"):
        CamOptions(tile=96, tile_overlap=60)
