"""ShapleyCAM against finite differences of second order, and where it is Grad-CAM."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.cam_gradient_methods import (
    grad_cam,
    gradient_by_differences,
    hessian_product_by_differences,
    maps_of,
    normal,
)
from tests.oracles.cam_networks import FlatNet, PooledNet, build_tiny_vit, seeded
from wsl.cam.targets import Logit, LogitAndLogProbability, Probability, Target

CURVED = [LogitAndLogProbability((1,)), LogitAndLogProbability((0, 2)), Probability((3,))]


@pytest.mark.parametrize("target", [Logit((1,)), *CURVED])
def test_map_equals_second_differences(target: Target) -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        double.net["head"].weight *= 0.01  # a softmax that is not saturated
        model.net["head"].weight *= 0.01
        activation = double.net["target"](double.net["stem"](x.double()))[0].numpy()

    def score(values: np.ndarray) -> float:
        with torch.no_grad():
            return target(double.tail(torch.from_numpy(values.copy())[None])).item()

    slopes, bends = gradient_by_differences(score, activation), hessian_product_by_differences(score, activation)
    expected = grad_cam(activation, slopes - bends / 2)
    assert np.abs(expected - grad_cam(activation, slopes)).max() > 1e-3  # the second order counts
    (found,) = maps_of("shapley_cam", model, x, [[target]])
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer", [None, "net.body.2", "net.stem"])
def test_logits_behind_relus_give_grad_cam(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 14, 22)
    targets = [[Logit((1,)), Logit((4,))], [Logit((0,))]]
    first, second = maps_of("shapley_cam", model, x, targets, layer), maps_of("grad_cam", model, x, targets, layer)
    for ours, other in zip(first, second, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("after", [None, nn.LayerNorm(5), nn.Sequential(nn.Linear(5, 5), nn.Tanh())])
def test_pooled_vector_gives_what_the_whole_map_gives(after: nn.Module | None) -> None:
    model, x = seeded(PooledNet(after)), normal(2, 3, 14, 22)
    targets = [[LogitAndLogProbability((1,)), Logit((0, 2))], [Probability((4,))]]
    pooled, whole = (maps_of("shapley_cam", model, x, targets, layer) for layer in (None, "net.body.2"))
    plain = maps_of("grad_cam", model, x, targets)
    for first, second, without in zip(pooled, whole, plain, strict=True):
        assert not torch.allclose(first, without, rtol=1e-2)
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_tokens_of_a_transformer() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = maps_of("shapley_cam", model, x, [[LogitAndLogProbability((1,))]])
    assert found.shape == (1, 2, 3)
    assert torch.isfinite(found).all()
    (plain,) = maps_of("grad_cam", model, x, [[LogitAndLogProbability((1,))]])
    assert not torch.allclose(found, plain, rtol=1e-3)
