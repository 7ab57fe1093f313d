"""Each preset against the published program's own steps, from the network's signed maps on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracles.cam_presets import MULTI_SCALE, ORACLES
from tests.oracles.peer_networks import NETWORKS, PooledNet, make_images
from wsl.cam.engine import ScaleRunner
from wsl.cam.method import build_method
from wsl.cam.options import CamOptions
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.targets import Logit
from wsl.models.wrap import wrap_network

SIZE = (21, 30)
INPUT_SIZES = {1.0: (24, 32), 0.5: (12, 16), 2.0: (40, 60)}
OUTPUT = 3


def make_input(scale: float, rows: object = None) -> Tensor:
    return make_images(1, INPUT_SIZES[scale])


def signed_map(network: PooledNet, images: Tensor) -> np.ndarray:
    """sum_k W_ck A_k in double precision."""
    with torch.no_grad():
        features = network.late(network.early(images))[0].double().numpy()
    return np.einsum("k,kij->ij", network.fc.weight[OUTPUT].detach().double().numpy(), features)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_a_preset_follows_its_program(name: str) -> None:
    several = name in MULTI_SCALE
    options = CamOptions(
        method="cam", preset=PRESETS[name], flip=several, scales=tuple(INPUT_SIZES) if several else (1.0,)
    )
    network = NETWORKS["pooled"]()
    method = build_method("cam")
    runner = ScaleRunner(wrap_network(network, images=make_input(1.0)), {"cam": method}, options, make_input)
    (levels,) = runner.finish(runner.start(1), [[Logit((OUTPUT,))]])["cam"]
    found = fuse(MapPyramid("", levels, (1,), SIZE), options.preset).scores[0]

    raw = [
        (signed_map(network, make_input(scale)), signed_map(network, make_input(scale).flip(3)))
        for scale in options.scales
    ]
    assert raw[0][0].min() < 0 < raw[0][0].max()
    expected = ORACLES[name](raw, SIZE)
    if name == "seam":
        # what lies within 1e-5 of the minimum comes out below 0 there, and at 0 here: background in both
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_a_map_without_contrast_becomes_zeros(name: str) -> None:
    levels = tuple(np.zeros((1, *size), np.float32) for size in ((6, 8), (3, 4)))
    assert not fuse(MapPyramid("", levels, (1,), SIZE), PRESETS[name]).scores.any()


def test_the_program_of_a_preset_is_known() -> None:
    assert set(ORACLES) == set(PRESETS) - {"aligned"}  # ours
