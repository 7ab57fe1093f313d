"""Grad-CAM against finite differences, on convolutions and on tokens."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_maps import grad_cam_by_differences, group_score
from tests.oracles.cam_networks import FlatNet, PooledNet, build_tiny_vit, seeded
from wsl.cam.targets import Logit


@pytest.mark.parametrize("group", [(1,), (0, 2, 3)])
def test_maps_equal_finite_differences_with_an_inplace_layer_behind(group: tuple[int, ...]) -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("grad_cam", model, x, [[Logit(group)]])
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        activation = double.net["target"](double.net["stem"](x.double()))[0]
    assert (activation < 0).any()  # the in-place ReLU would overwrite these

    def score(values: np.ndarray) -> float:
        with torch.no_grad():
            return group_score(double.tail(torch.from_numpy(values.copy())[None])[0].tolist(), group)

    expected = grad_cam_by_differences(score, activation.numpy().copy()) / 16
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


def test_an_early_layer_is_differentiated_through_the_rest() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 8, 12)
    (found,) = maps_of("grad_cam", model, x, [[Logit((2,))]], "net.stem.1")
    with torch.no_grad():
        activation = model.net["stem"][1](model.net["stem"][0](x)).requires_grad_()
    logits = model.pooled_head(model.net["body"](functional.relu(activation)).mean((2, 3)))
    (slope,) = torch.autograd.grad(logits[0, 2], activation)
    expected = (slope.mean((2, 3), keepdim=True) * activation).sum(1).detach()
    assert found.shape == (1, 4, 6)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_tokens_of_a_transformer_are_a_map_without_the_class_token() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = maps_of("grad_cam", model, x, [[Logit((1,))]])
    seen: list[torch.Tensor] = []
    handle = model.get_submodule(model.default_layer).register_forward_hook(lambda _m, _i, o: seen.append(o))
    logits = model(x)
    handle.remove()
    (slope,) = torch.autograd.grad(logits[0, 1], seen[0])
    expected = torch.zeros(2, 3)
    for row in range(2):
        for column in range(3):
            token = seen[0][0, 1 + 3 * row + column]
            expected[row, column] = (slope[0, 1:].mean(0) * token).sum()
    assert found.abs().max() > 1e-5
    torch.testing.assert_close(found[0], expected.detach(), rtol=1e-3, atol=1e-6)
