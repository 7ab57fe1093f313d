"""LayerCAM against loops and its closed form on a pooled linear head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal, per_position
from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.methods.layer_cam import LayerCam
from wsl.cam.preset import get_preset
from wsl.cam.targets import Logit


def test_formula_equals_the_loop() -> None:
    activation, gradient = normal(4, 3, 5), normal(2, 4, 3, 5, seed=6)
    found = LayerCam().combine(activation, gradient)
    assert found.min() < 0  # negative activations stay: the ReLU around the sum is the preset's
    for k in range(2):
        expected = per_position(activation.numpy(), gradient[k].numpy(), lambda a, g: a * max(g, 0))
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [None, "net.body.2"])
def test_pooled_linear_head_has_a_closed_form(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (found,) = maps_of("layer_cam", model, x, [[Logit((3,))]], layer)
    weight = model.net["head"].weight[3].detach().clamp(min=0) / 24
    expected = (weight[:, None, None] * model.features(x)[0].detach()).sum(0)
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-6)


def test_layers_are_fused_as_in_the_paper() -> None:
    preset = get_preset("irn")
    assert preset.layer_fusion == "method"
    assert build_method("layer_cam").fit_preset(get_preset("grad_cam")).layer_fusion == "mean"
    assert build_method("layer_cam").fit_preset(preset).layer_fusion == "tanh_max"
    assert build_method("grad_cam").fit_preset(preset).layer_fusion == "mean"
