"""Formulas that a peer has wrong: our map is the paper's, the peer's is not.

The tests named after a peer run where the version that docs/peers.md speaks of is installed; when one fails after an
update, the peer was mended and docs/peers.md has to say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.peer_calls import ask_torchcam, quiet, release
from tests.oracles.peer_claims import assert_close, category, need, raw_maps
from tests.oracles.peer_networks import NETWORKS, images_for
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.models.wrap import wrap_network


def activation_and_gradient(network: nn.Module, images: Tensor, output: int = 0) -> tuple[Tensor, Tensor]:
    """Of the layer `late` of a FlatNet, float64."""
    network, images = network.double(), images.double()
    activation = network.late(network.early(images)).detach().requires_grad_()
    score = network.fc(network.hidden(activation))[:, output].sum()
    (gradient,) = torch.autograd.grad(score, activation)
    return activation.detach(), gradient


def weighted_sum(weights: Tensor, activation: Tensor) -> Tensor:
    return (weights[:, :, None, None] * activation).sum(1)


# Grad-CAM++ -----------------------------------------------------------------------------------------------------------


def small_gradients() -> nn.Module:
    """A pooled head whose gradients are small, as those of a 1000-class network on a 7 x 7 map."""
    network = NETWORKS["pooled"]()
    with torch.no_grad():
        network.fc.weight.mul_(1e-2)
    return network


def plus_plus_weights(network: nn.Module) -> Tensor:
    """relu(W) / (2 + W mean A), eq. 19 on a pooled linear head."""
    images = images_for("pooled")
    with torch.no_grad():
        mean = network.late(network.early(images)).double().mean((2, 3))
    weight = network.fc.weight[0].detach().double()
    return weight.clamp(min=0) / (2 + weight * mean)


def test_grad_cam_plus_plus_holds_for_small_gradients() -> None:
    network, images = small_gradients(), images_for("pooled")
    expected = weighted_sum(plus_plus_weights(network), network.late(network.early(images)).double())
    assert_close(raw_maps("grad_cam_plus_plus", network, images), expected.detach())


def test_grad_cams_epsilon_outweighs_small_gradients() -> None:
    package = need("grad-cam")
    network, images = small_gradients(), images_for("pooled")
    positions = 48
    activation = network.late(network.early(images)).detach()
    gradient = (network.fc.weight[0] / positions).detach()[None, :, None, None].expand_as(activation)
    extractor = package.GradCAMPlusPlus(network, [network.late])
    weights = extractor.get_cam_weights(None, None, None, activation.numpy(), gradient.numpy())
    assert weights.max() < 0.1 * float(plus_plus_weights(network).max())
    release(extractor)


def true_plus_plus(network: nn.Module, images: Tensor) -> Tensor:
    activation, gradient = activation_and_gradient(network, images)
    denominator = 2 * gradient**2 + activation.sum((2, 3), keepdim=True) * gradient**3
    alpha = torch.where(gradient == 0, 0, gradient**2 / denominator)
    return weighted_sum((alpha * gradient.clamp(min=0)).sum((2, 3)), activation)


def test_grad_cam_plus_plus_is_equation_19() -> None:
    network, images = NETWORKS["flat"](), images_for("flat")
    assert_close(raw_maps("grad_cam_plus_plus", network, images), true_plus_plus(NETWORKS["flat"](), images))


def test_torchcam_never_divides_by_the_denominator_of_alpha() -> None:
    need("torchcam")
    images = images_for("flat")
    theirs = torch.from_numpy(ask_torchcam("GradCAMpp", NETWORKS["flat"](), images, ["late"], 0, normalised=False))
    activation, gradient = activation_and_gradient(NETWORKS["flat"](), images)
    undivided = weighted_sum(gradient.clamp(min=0).pow(3).sum((2, 3)), activation).clamp(min=0)
    assert_close(theirs, undivided)
    assert float(theirs.max()) < 0.1 * float(true_plus_plus(NETWORKS["flat"](), images).max())


def test_smooth_grad_cam_plus_plus_weighs_the_clean_activation() -> None:
    network, images = NETWORKS["flat"](), images_for("flat")
    generator = torch.Generator().manual_seed(3)
    gradients = []
    for _ in range(4):
        noise = torch.randn((1, *images.shape[1:]), generator=generator) * 0.3
        gradients.append(activation_and_gradient(NETWORKS["flat"](), images + noise)[1])
    first, second, third = (torch.stack([each**power for each in gradients]).mean(0) for power in (1, 2, 3))
    activation, _ = activation_and_gradient(NETWORKS["flat"](), images)
    denominator = 2 * second + activation.sum((2, 3), keepdim=True) * third
    alpha = torch.where(denominator == 0, 0, second / denominator)
    expected = weighted_sum((alpha * first.clamp(min=0)).sum((2, 3)), activation)
    assert_close(raw_maps("smooth_grad_cam_plus_plus", network, images, seed=3), expected)


def test_torchcam_weighs_the_last_noisy_activation() -> None:
    package = need("torchcam")
    network, images = NETWORKS["flat"](), images_for("flat")
    with package.methods.SmoothGradCAMpp(network, "late") as extractor:
        network(images)
        clean = extractor.hook_a[0].clone()
        extractor([0, 0])
        assert float((extractor.hook_a[0] - clean).abs().max()) > 0.1


# Ablation-CAM ---------------------------------------------------------------------------------------------------------


def ablated(network: nn.Module, images: Tensor) -> Tensor:
    """(y - y without the channel) / y, one channel at a time."""

    def head(activation: Tensor) -> Tensor:
        return network.fc(network.mix(network.relu(activation)).mean((2, 3)))[:, 0]

    with torch.no_grad():
        activation = network.late(network.early(images))
        whole, weights = head(activation), torch.zeros(activation.shape[:2])
        for channel in range(activation.shape[1]):
            without = activation.clone()
            without[:, channel] = 0
            weights[:, channel] = (whole - head(without)) / whole
        return weighted_sum(weights, activation)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_ablation_sets_a_signed_channel_to_zero_whatever_the_batch(batch_size: int) -> None:
    network, images = NETWORKS["leaky"](), images_for("leaky")
    assert float(network.late(network.early(images)).detach().min()) < -1
    assert_close(raw_maps("ablation_cam", network, images, batch_size=batch_size), ablated(network, images))


def test_grad_cams_ablation_depends_on_the_batch_size() -> None:
    package = need("grad-cam")
    found = []
    for batch_size in (1, 8):
        network, images = NETWORKS["leaky"](), images_for("leaky")
        extractor = package.AblationCAM(network, [network.late], batch_size=batch_size)
        activation = network.late(network.early(images)).detach().numpy()
        with quiet():
            found.append(extractor.get_cam_weights(images, network.late, [category(0)] * 2, activation, None))
        release(extractor)
    assert np.abs(found[0]).max() > 1e4  # the least value minus 10 million, not 0, is put in
    assert np.abs(found[1] / found[0] - 1).max() > 1


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_grad_cam_ablates_twice_the_ratio_of_channels() -> None:
    package = need("grad-cam")
    network, images = NETWORKS["flat"](), images_for("flat")
    activation = network.late(network.early(images)).detach().numpy()[0]
    layer = package.ablation_layer.AblationLayer()
    assert len(layer.activations_to_be_ablated(activation, 0.5)) == len(activation)
    assert len(set(layer.activations_to_be_ablated(activation, 0.75).tolist())) < 1.5 * len(activation)


def test_grad_cams_extractors_share_an_ablation_layer() -> None:
    package = need("grad-cam")
    first, second = (package.AblationCAM(NETWORKS["flat"](), []) for _ in range(2))
    assert first.ablation_layer is second.ablation_layer


# FullGrad -------------------------------------------------------------------------------------------------------------


def full_grad(network: nn.Module, images: Tensor) -> Tensor:
    """Section 4.3 with the authors' psi: absolute, stretched over all channels together, resized, summed."""
    images = images.clone().requires_grad_()
    outputs: list[tuple[Tensor, Tensor]] = []
    x = images
    for block in (network.early, network.late):
        x = block[0](x)
        outputs.append((block[0].bias, x))
        x = block[1](x)
        norm = block[1]
        outputs.append((norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var + norm.eps), x))
        x = block[2](x)
    score = network.fc(x.mean((2, 3)))[:, 0].sum()
    gradients = torch.autograd.grad(score, [images, *(output for _, output in outputs)])
    products = [images * gradients[0]]
    products += [bias[None, :, None, None] * slope for (bias, _), slope in zip(outputs, gradients[1:], strict=True)]
    total = torch.zeros(len(images), *images.shape[2:])
    for product in products:
        psi = product.detach().abs()
        low, high = psi.amin((1, 2, 3), keepdim=True), psi.amax((1, 2, 3), keepdim=True)
        stretched = (psi - low) / (high - low)
        total += nn.functional.interpolate(stretched, images.shape[2:], mode="bilinear", align_corners=True).sum(1)
    return total


@pytest.mark.parametrize("name", ["normalised", "swapped"])
def test_full_grad_pairs_biases_with_their_own_gradients(name: str) -> None:
    network, images = NETWORKS[name](), images_for(name)
    assert_close(raw_maps("full_grad", network, images, layer=""), full_grad(NETWORKS["normalised"](), images))


def test_full_grad_depends_on_the_biases() -> None:
    images, network = images_for("normalised"), NETWORKS["normalised"]()
    before = raw_maps("full_grad", network, images, layer="")
    with torch.no_grad():
        # the convolution's bias and the norm's mean together: the same outputs and gradients from other biases
        network.late[0].bias.add_(torch.arange(6.0))
        network.late[1].running_mean.add_(torch.arange(6.0))
    after = raw_maps("full_grad", network, images, layer="")
    assert float((after - before).abs().max()) > 0.1 * float(before.abs().max())


def test_grad_cams_full_grad_does_not_depend_on_the_biases() -> None:
    package = need("grad-cam")
    network, images = NETWORKS["normalised"](), images_for("normalised")
    extractor = package.FullGrad(network, [])
    before = extractor(images, [category(0)] * 2)
    extractor.bias_data = [bias * (1 + np.arange(len(bias))) for bias in extractor.bias_data]
    after = extractor(images, [category(0)] * 2)
    assert np.abs(after - before).max() < 1e-3
    release(extractor)


# Principal components -------------------------------------------------------------------------------------------------


def test_eigen_cam_points_to_the_active_side() -> None:
    for seed in range(8):
        network, images = NETWORKS["flat"](), images_for("flat").roll(seed, 0) * (1 + seed / 4) - seed / 4
        mean = network.late(network.early(images)).mean(1).detach()
        for component, activity in zip(raw_maps("eigen_cam", network, images), mean, strict=True):
            assert float(((component - component.mean()) * (activity - activity.mean())).sum()) > 0


def test_grad_cams_eigen_cam_keeps_whatever_sign_the_decomposition_gives() -> None:
    need("grad-cam")
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    network, signs = NETWORKS["flat"](), set()
    for seed in range(8):
        images = images_for("flat") * (1 + seed / 4) - seed / 4
        activation = network.late(network.early(images)).detach().numpy()
        for component, each in zip(get_2d_projection(activation), activation, strict=True):
            signs.add(bool((component * (each.mean(0) - each.mean())).sum() > 0))
    assert False in signs  # the ReLU that follows then keeps the inactive side


# IS-CAM ---------------------------------------------------------------------------------------------------------------


class Loudest:
    """Watches how far a network's inputs go beyond the image's own."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.limit, self.seen = float(images.abs().max()), 0.0
        network.register_forward_pre_hook(self.look)

    def look(self, _module: nn.Module, inputs: Any) -> None:
        self.seen = max(self.seen, float(inputs[0].abs().max()) / self.limit)


def test_is_cam_never_shows_more_than_the_image() -> None:
    network, images = NETWORKS["flat"](), images_for("flat")
    model, method = wrap_network(network, images=images), build_method("is_cam")
    trace, loudest = Trace(model, images, ("net.late",), method.needs), Loudest(network, images)
    method.compute_maps(trace, "net.late", [[Logit((0,))]] * 2)
    assert 0.5 < loudest.seen <= 1.0 + 1e-6


def test_torchcams_is_cam_shows_five_times_the_image() -> None:
    package = need("torchcam")
    network, images = NETWORKS["flat"](), images_for("flat")
    with package.methods.ISCAM(network, "late") as extractor:
        network(images)
        loudest = Loudest(network, images)
        extractor([0, 0])
    assert loudest.seen > 5
