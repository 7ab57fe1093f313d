"""Our maps against the peers', where these are right: stored ones always, fresh ones where a peer is installed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.peer_calls import ASK
from tests.oracles.peer_cases import CASES, Case
from tests.oracles.peer_networks import NETWORKS, images_for
from wsl.cam.call import compute_score_maps
from wsl.cam.method import build_method
from wsl.cam.preset import PRESETS, Preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.models.wrap import wrap_network

GOLDEN = Path(__file__).parents[1] / "golden"
PACKAGES = {"grad-cam": "pytorch_grad_cam", "torchcam": "torchcam", "captum": "captum"}
TOLERANCE = 1e-5
# Signed maps as they are: no ReLU, no normaliser, and interpolation only to the layer's own size.
RAW = Preset(relu="none", normaliser="none")
LAYER_SIZE = (6, 8)

Maps = NDArray[np.float32]  # (B, H, W)


@pytest.fixture(scope="module")
def golden() -> dict[str, Maps]:
    with np.load(GOLDEN / "peers.npz") as arrays:
        return dict(arrays)


def our_maps(case: Case, sign: int = 1) -> Maps:
    preset = RAW if case.kind == "raw" else replace(PRESETS[case.preset], **case.changed)
    layers = () if case.method in ("cam", "legrad") else case.layers
    network, images = NETWORKS[case.network](), images_for(case.network)
    if sign < 0:
        return opposite_maps(case, preset)
    found = compute_score_maps(
        network, images, [case.output], method=case.method, layers=layers, preset=preset, options=case.options
    )
    return np.stack([each.scores[0] for each in found.score_maps])


def opposite_maps(case: Case, preset: Preset) -> Maps:
    """The method's raw maps with the other sign, through the same preset."""
    images = images_for(case.network)
    model, method = wrap_network(NETWORKS[case.network](), images=images), build_method(case.method, **case.options)
    layer = f"net.{case.layers[0]}"  # as a wrapped network calls it
    trace = Trace(model, images, (layer,), method.needs)
    raw = method.compute_maps(trace, layer, [[Logit((case.output,))]] * len(images))
    size = (images.shape[2], images.shape[3])
    levels = [(-each).clamp(min=0).numpy() for each in raw]
    return np.stack([fuse(MapPyramid("", (each,), (1,), size), preset).scores[0] for each in levels])


def to_input_size(maps: Maps, size: tuple[int, ...]) -> Maps:
    """The peer's map at the layer's size, by the interpolation that it uses itself when it resizes."""
    resized = functional.interpolate(torch.from_numpy(maps)[:, None], size, mode="bilinear", align_corners=False)
    return resized[:, 0].numpy()


def check(case: Case, theirs: Maps) -> None:
    ours = our_maps(case)
    if case.kind != "scores":
        theirs = to_input_size(theirs, ours.shape[1:])
    if case.kind == "raw":
        # ours is multiplied by the number of positions, so that scales add with equal weight
        ours = ours / (LAYER_SIZE[0] * LAYER_SIZE[1])
    assert np.ptp(theirs) > 1e-3
    opposite = our_maps(case, sign=-1) if case.either_sign else ours
    for their, *either in zip(theirs, ours, opposite, strict=True):
        nearest = min(either, key=lambda our: float(np.abs(our - their).max()))
        np.testing.assert_allclose(nearest, their, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stored_maps_of_the_peers(case: Case, golden: dict[str, Maps]) -> None:
    check(case, golden[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_maps_of_the_installed_peers(case: Case) -> None:
    pytest.importorskip(PACKAGES[case.peer])
    network, images = NETWORKS[case.network](), images_for(case.network)
    check(case, ASK[case.peer](case.theirs, network, images, case.layers, case.output, **case.asked))


def test_torchcams_layers_of_layer_cam_differ_in_the_order_of_two_steps_only() -> None:
    """It takes tanh before resizing, we after it, as the paper's eq. 9 is about maps of one size."""
    pytest.importorskip("torchcam")
    images, layers = images_for("flat"), ("early", "late")
    theirs = ASK["torchcam"]("LayerCAM", NETWORKS["flat"](), images, layers, 0, size=(24, 32))
    preset = replace(PRESETS["torchcam"], layer_fusion="tanh_max")
    found = compute_score_maps(NETWORKS["flat"](), images, [0], method="layer_cam", layers=layers, preset=preset)
    for our, their in zip(found.score_maps, theirs, strict=True):
        assert np.corrcoef(our.scores.ravel(), their.ravel())[0, 1] > 0.9
        assert np.abs(our.scores[0] - their).max() > 0.01


def test_every_stored_map_belongs_to_a_case(golden: dict[str, Maps]) -> None:
    record = json.loads((GOLDEN / "peers.json").read_text("utf8"))
    assert sorted(golden) == sorted(record["cases"]) == sorted(case.name for case in CASES)
    assert {"grad-cam", "torchcam", "captum", "torch"} <= set(record["versions"])
