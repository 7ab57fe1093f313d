"""Grad-CAM element-wise against loops, and against LayerCAM where activations are not negative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal, per_position
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.methods.grad_cam_elementwise import GradCamElementwise
from wsl.cam.targets import Logit


def test_formula_equals_the_loop() -> None:
    activation, gradient = normal(4, 3, 5), normal(2, 4, 3, 5, seed=6)
    found = GradCamElementwise().combine(activation, gradient)
    for k in range(2):
        expected = per_position(activation.numpy(), gradient[k].numpy(), lambda a, g: max(a * g, 0))
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [None, "net.body.2", "net.stem"])
def test_equals_layer_cam_behind_a_relu(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (found,) = maps_of("grad_cam_elementwise", model, x, [[Logit((3,)), Logit((0, 1))]], layer)
    (expected,) = maps_of("layer_cam", model, x, [[Logit((3,)), Logit((0, 1))]], layer)
    assert found.max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


class LinearNet(FlatNet):
    """No ReLU behind the target layer, so that negative activations have gradients."""

    def tail(self, activation: torch.Tensor) -> torch.Tensor:
        return self.net["head"](activation.flatten(1))


def test_differs_from_layer_cam_where_activations_are_negative() -> None:
    model, x = seeded(LinearNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("grad_cam_elementwise", model, x, [[Logit((1,))]])
    (other,) = maps_of("layer_cam", model, x, [[Logit((1,))]])
    assert found.min() >= 0
    assert not torch.allclose(found, other, atol=1e-3)
