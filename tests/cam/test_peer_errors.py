"""What a call of a peer refuses, hides or leaves behind, and ours does not.

The tests named after a peer run where the version that docs/peers.md speaks of is installed; when one fails after an
update, the peer was mended and docs/peers.md has to say so.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.peer_calls import ask_captum, ask_grad_cam, ask_torchcam, quiet, release
from tests.oracles.peer_claims import LAST_BLOCK, RAW, category, need, raw_maps
from tests.oracles.peer_networks import NETWORKS, OUTPUTS, fill, images_for
from wsl.cam.call import compute_score_maps
from wsl.cam.diagnosis import forget_warnings
from wsl.errors import ConfigError

REFUSAL = r"does not require grad|not connected"


# What a call leaves behind --------------------------------------------------------------------------------------------


def test_an_inplace_layer_does_not_overwrite_the_activation() -> None:
    images = images_for("signed")
    apart, inplace = (raw_maps("grad_cam", NETWORKS[name](), images) for name in ("signed", "signed_inplace"))
    torch.testing.assert_close(inplace, apart, rtol=0, atol=0)


@pytest.mark.parametrize("peer", ["grad-cam", "torchcam"])
def test_an_inplace_layer_overwrites_the_peers_activation(peer: str) -> None:
    need(peer)
    ask, images = {"grad-cam": ask_grad_cam, "torchcam": ask_torchcam}[peer], images_for("signed")
    apart, inplace = (ask("GradCAM", NETWORKS[name](), images, ["late"], 0) for name in ("signed", "signed_inplace"))
    assert np.abs(apart - inplace).max() > 0.05


def test_captum_is_right_with_an_inplace_layer() -> None:
    need("captum")
    images = images_for("signed")
    apart, inplace = (
        ask_captum("LayerGradCam", NETWORKS[name](), images, ["late"], 0) for name in ("signed", "signed_inplace")
    )
    np.testing.assert_allclose(apart, inplace, rtol=0, atol=1e-7)


def test_frozen_networks_and_callers_without_gradients_get_the_same_map() -> None:
    images = images_for("flat")
    expected = raw_maps("grad_cam", NETWORKS["flat"](), images)
    frozen = raw_maps("grad_cam", NETWORKS["flat"]().requires_grad_(False), images)
    with torch.no_grad():
        without = raw_maps("grad_cam", NETWORKS["flat"](), images)
    torch.testing.assert_close(frozen, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(without, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("peer", ["grad-cam", "torchcam"])
def test_the_peers_refuse_frozen_networks(peer: str) -> None:
    need(peer)
    ask = {"grad-cam": ask_grad_cam, "torchcam": ask_torchcam}[peer]
    with pytest.raises(RuntimeError, match=REFUSAL):
        ask("GradCAM", NETWORKS["flat"]().requires_grad_(False), images_for("flat"), ["late"], 0)
    with torch.no_grad(), pytest.raises(RuntimeError, match=REFUSAL):
        ask("GradCAM", NETWORKS["flat"](), images_for("flat"), ["late"], 0)


def test_a_call_leaves_mode_and_parameter_gradients_alone() -> None:
    network = NETWORKS["flat"]().train()
    compute_score_maps(network, images_for("flat"), [0], method="grad_cam", layers="late", preset=RAW)
    assert network.training
    assert network.late.training
    assert all(each.grad is None for each in network.parameters())


def test_grad_cam_changes_the_mode_and_fills_parameter_gradients() -> None:
    need("grad-cam")
    network = NETWORKS["flat"]().train()
    ask_grad_cam("GradCAM", network, images_for("flat"), ["late"], 0)
    assert not network.training
    assert all(each.grad is not None for each in network.parameters())


def test_grad_cams_guided_backprop_replaces_the_networks_relus() -> None:
    package = need("grad-cam")
    network = fill(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, OUTPUTS),
        )
    )  # fmt: skip
    package.GuidedBackpropReLUModel(network, "cpu")(images_for("flat")[:1], 0)
    assert network[1] is network[3]
    assert not network[1].inplace


def test_grad_cams_score_cam_records_every_masked_forward() -> None:
    package = need("grad-cam")
    network, images = NETWORKS["flat"](), images_for("flat")
    extractor = package.ScoreCAM(network, [network.late])
    extractor.batch_size = 2
    with quiet():
        extractor(images, [category(0)] * 2)
    assert len(extractor.activations_and_grads.activations) == 1 + 2 * 8 // 2
    release(extractor)


def test_grad_cams_release_fails_on_gradients_that_are_views() -> None:
    package = need("grad-cam")
    network, images = NETWORKS["flat"](), images_for("flat")
    with pytest.raises(RuntimeError, match="detach views"), package.ShapleyCAM(network, [network.late]) as extractor:
        extractor(images, [category(0)] * 2)
    release(extractor)


def test_grad_cam_swallows_the_callers_index_errors() -> None:
    package = need("grad-cam")
    network = NETWORKS["flat"]()
    raised = False
    with quiet(), package.GradCAM(network, [network.late]):
        raised = True
        raise IndexError("of the caller, not of the library")
    assert raised  # and this line is reached: the error is gone


# Targets and values ---------------------------------------------------------------------------------------------------


def test_targets_that_do_not_match_the_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected one list per image, 2, but got 1"):
        compute_score_maps(NETWORKS["flat"](), images_for("flat"), [[0]], method="grad_cam", layers="late")


def test_grad_cam_gives_zeros_for_images_without_a_target() -> None:
    package = need("grad-cam")
    network, images = NETWORKS["flat"](), images_for("flat")
    extractor = package.GradCAM(network, [network.late])
    first, second = extractor(images, [category(0)])
    assert first.max() > 0.99
    assert not second.any()
    release(extractor)


def test_shapley_cam_works_on_tokens() -> None:
    maps = raw_maps("shapley_cam", NETWORKS["vit"](), images_for("vit"), layer=LAST_BLOCK)
    assert maps.shape == (2, 4, 4)
    assert bool(torch.isfinite(maps).all())
    assert bool(maps.any())


def test_grad_cams_shapley_cam_fails_on_tokens() -> None:
    need("grad-cam")
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH), pytest.raises(ValueError, match="Invalid activation shape"):
        ask_grad_cam("ShapleyCAM", NETWORKS["vit"](), images_for("vit"), [LAST_BLOCK], 0, grid=(4, 4))


def broken() -> nn.Module:
    network = NETWORKS["pooled"]()
    with torch.no_grad():
        network.late[0].bias[0] = float("nan")
    return network


def test_maps_that_are_not_finite_are_told(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    with caplog.at_level(logging.WARNING, logger="wsl"):
        found = compute_score_maps(broken(), images_for("pooled"), [0], method="grad_cam", layers="late", preset=RAW)
    assert not np.isfinite(found.score_maps[0].scores).any()
    assert "NaN" in caplog.text


def test_torchcam_sums_around_what_is_not_finite() -> None:
    package = need("torchcam")
    network = broken()
    with package.methods.CAM(network, "late", "fc") as extractor:
        scores = network(images_for("pooled"))
        assert not bool(torch.isfinite(scores).any())
        assert bool(torch.isfinite(extractor([0, 0])[0]).all())
