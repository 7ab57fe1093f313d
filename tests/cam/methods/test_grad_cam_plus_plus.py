"""Grad-CAM++ against the printed fraction, the closed form of a pooled linear head, and its corner cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_gradient_methods import grad_cam_plus_plus, maps_of, normal
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.methods.grad_cam_plus_plus import GradCamPlusPlus
from wsl.cam.targets import Logit


@pytest.mark.parametrize("normalise", [False, True])
def test_formula_equals_the_printed_fraction(normalise: bool) -> None:
    activation, gradient = normal(4, 3, 5).abs(), normal(2, 4, 3, 5, seed=6)
    gradient[:, 1] = 0
    gradient[0, 2, :2] = 0
    found = GradCamPlusPlus(normalise_alpha=normalise).combine(activation, gradient)
    for k in range(2):
        expected = grad_cam_plus_plus(activation.double().numpy(), gradient[k].double().numpy(), normalise)
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [1e-6, 1e-12, 1e-20])
def test_tiny_gradients_do_not_underflow(size: float) -> None:
    # their squares are below any usual epsilon; the limit of the weight is sum relu(g) / 2
    activation, gradient = normal(3, 2, 4).abs(), normal(1, 3, 2, 4, seed=8) * size
    found = GradCamPlusPlus().combine(activation, gradient) / size
    weights = gradient.clamp(min=0).sum((2, 3)) / size / 2
    expected = (weights[0][:, None, None] * activation).sum(0)
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-6)


def test_a_denominator_of_zero_gives_weight_zero() -> None:
    activation, gradient = torch.tensor([[[-1.0, -1.0]]]), torch.tensor([[[[1.0, 0.5]]]])
    # 2 + g * sum A: 0 at the first position, 1 at the second
    assert GradCamPlusPlus().combine(activation, gradient).tolist() == [[[-0.5, -0.5]]]


@pytest.mark.parametrize("layer", [None, "net.body.2"])
def test_pooled_linear_head_has_a_closed_form(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (found,) = maps_of("grad_cam_plus_plus", model, x, [[Logit((2,)), Logit((4,))]], layer)
    activation = model.features(x)[0].detach()
    for k, output in enumerate((2, 4)):
        weight = model.net["head"].weight[output].detach()
        closed = weight.clamp(min=0) / (2 + weight * activation.mean((1, 2)))
        expected = (closed[:, None, None] * activation).sum(0)
        torch.testing.assert_close(found[k], expected, rtol=1e-4, atol=1e-5)


def test_normalised_alphas_of_a_pooled_head_give_the_gradient_itself() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    for layer in (None, "net.body.2"):
        (found,) = maps_of("grad_cam_plus_plus", model, x, [[Logit((2,))]], layer, normalise_alpha=True)
        weight = model.net["head"].weight[2].detach().clamp(min=0) / 24
        expected = (weight[:, None, None] * model.features(x)[0].detach()).sum(0)
        torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-6)


def test_gradients_come_from_the_network() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("grad_cam_plus_plus", model, x, [[Logit((1,))]])
    activation = model.net["target"](model.net["stem"](x)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.tail(activation.clone())[0, 1], activation)
    expected = grad_cam_plus_plus(activation[0].detach().double().numpy(), gradient[0].double().numpy())
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


def test_option_is_known_by_name() -> None:
    assert build_method("grad_cam_plus_plus", normalise_alpha=True) == GradCamPlusPlus(normalise_alpha=True)
