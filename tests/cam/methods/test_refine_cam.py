"""RefineCAM: Grad-CAM++ of several layers, multiplied."""

from __future__ import annotations

import torch

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.options import STAGES
from wsl.cam.preset import get_preset
from wsl.cam.targets import Logit


def test_each_layer_is_grad_cam_plus_plus() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    for layer in (None, "net.stem"):
        (found,) = maps_of("refine_cam", model, x, [[Logit((2,))]], layer)
        (expected,) = maps_of("grad_cam_plus_plus", model, x, [[Logit((2,))]], layer)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_layers_are_found_and_multiplied() -> None:
    method = build_method("refine_cam")
    assert method.default_layers == STAGES
    assert method.fit_preset(get_preset("irn")).layer_fusion == "product"
    assert method.fit_preset(get_preset("grad_cam")).layer_fusion == "product"
    assert method != build_method("grad_cam_plus_plus")  # the engine keeps methods as keys
