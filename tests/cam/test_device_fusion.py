"""The fusion in torch, which a GPU uses, is the fusion in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wsl.cam.device_fusion import fuse_on_device
from wsl.cam.preset import CHOICES, PRESETS, Preset
from wsl.cam.pyramid import MapPyramid, fuse

RNG = np.random.default_rng(5)
LEVELS = tuple(RNG.normal(size=(3, h, w)).astype(np.float32) for h, w in ((4, 5), (2, 3), (9, 11), (4, 6)))
CPU = torch.device("cpu")


def check(preset: Preset, levels: tuple[np.ndarray, ...] = LEVELS, layers: int = 1) -> None:
    pyramid = MapPyramid("a", levels, tuple(range(1, len(levels[0]) + 1)), (33, 46), num_layers=layers)
    found, expected = fuse_on_device(pyramid, preset, CPU), fuse(pyramid, preset)
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-4)


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset(name: str, layers: int) -> None:
    check(PRESETS[name], layers=layers)


@pytest.mark.parametrize("fusion", CHOICES["layer_fusion"])
def test_every_layer_fusion(fusion: str) -> None:
    check(replace(PRESETS["irn"], layer_fusion=fusion), layers=2)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_maps_without_contrast_and_without_classes(name: str) -> None:
    check(PRESETS[name], (np.full((1, 3, 3), -7.0, np.float32), np.zeros((1, 2, 2), np.float32)))
    check(PRESETS[name], (np.zeros((0, 3, 3), np.float32),))
