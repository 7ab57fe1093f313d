"""XGrad-CAM against loops, and against CAM on a pooled linear head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal, xgrad_cam
from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.methods.xgrad_cam import XGradCam
from wsl.cam.targets import Logit


def test_formula_equals_the_loop() -> None:
    activation, gradient = normal(4, 3, 5).abs() + 0.1, normal(2, 4, 3, 5, seed=6)
    activation[2] = 0
    found = XGradCam().combine(activation, gradient)
    for k in range(2):
        expected = xgrad_cam(activation.double().numpy(), gradient[k].double().numpy())
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)


def test_a_channel_that_sums_up_to_zero_has_weight_zero() -> None:
    activation = torch.tensor([[[1.0, -1.0]], [[2.0, 1.0]]])
    gradient = torch.tensor([[[[3.0, 4.0]], [[1.0, -1.0]]]])
    # second channel: (2 - 1) / 3
    torch.testing.assert_close(XGradCam().combine(activation, gradient), torch.tensor([[[2 / 3, 1 / 3]]]))


@pytest.mark.parametrize("layer", [None, "net.body.2"])
def test_pooled_linear_head_gives_the_cam(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (found,) = maps_of("xgrad_cam", model, x, [[Logit((2,)), Logit((4,))]], layer)
    (expected,) = maps_of("cam", model, x, [[Logit((2,)), Logit((4,))]])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_constant_gradient_of_a_pooled_head_needs_no_division() -> None:
    activation = torch.tensor([[[1.0, -1.0]]])  # a sum of 0: the weighted mean of a constant is the constant
    gradient = torch.tensor([[[[3.0]]]]).expand(1, 1, 1, 2)
    torch.testing.assert_close(XGradCam().combine(activation, gradient), torch.tensor([[[3.0, -3.0]]]))
