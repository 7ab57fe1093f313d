"""HiResCAM against loops, and its promise: the map adds up to the class score."""

from __future__ import annotations

import numpy as np
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal, per_position
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.methods.hires_cam import HiResCam
from wsl.cam.targets import Logit


def test_formula_equals_the_loop() -> None:
    activation, gradient = normal(4, 3, 5), normal(2, 4, 3, 5, seed=6)
    found = HiResCam().combine(activation, gradient)
    for k in range(2):
        expected = per_position(activation.numpy(), gradient[k].numpy(), lambda a, g: a * g)
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)


def test_pooled_linear_head_gives_the_cam() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (expected,) = maps_of("cam", model, x, [[Logit((2,)), Logit((4,))]])
    for layer in (None, "net.body.2"):
        (found,) = maps_of("hires_cam", model, x, [[Logit((2,)), Logit((4,))]], layer)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


class LinearNet(FlatNet):
    """One linear layer sees every position of the map."""

    def tail(self, activation: torch.Tensor) -> torch.Tensor:
        return self.net["head"](activation.flatten(1))


def test_the_map_of_a_linear_head_adds_up_to_the_score_less_its_bias() -> None:
    model, x = seeded(LinearNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("hires_cam", model, x, [[Logit((0,)), Logit((3,))]])
    scores = model(x)[0] - model.net["head"].bias
    assert found.abs().max() > 0.05
    torch.testing.assert_close(found.sum((1, 2)), scores[[0, 3]].detach(), rtol=1e-4, atol=1e-5)
