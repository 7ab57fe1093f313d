"""Average and max pooling against loops over channels and positions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles.cam_networks import FlatNet, PooledNet
from wsl.cam.pooling import compare_poolings
from wsl.errors import ModelError

IMAGES = torch.randn(2, 3, 20, 28, generator=torch.Generator().manual_seed(5))


def make(after: nn.Module | None = None) -> PooledNet:
    torch.manual_seed(1)
    return PooledNet(after).eval()


def literal_maps(model: PooledNet, features: torch.Tensor, output: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The two maps of one image by the formulas, one number after the other."""
    weights = model.linear_head().weight[output].detach()
    channels, height, width = features.shape
    average, maximum = torch.zeros(height, width), torch.zeros(height, width)
    for k in range(channels):
        best, place = -float("inf"), (0, 0)
        for i in range(height):
            for j in range(width):
                value = float(features[k, i, j])
                average[i, j] += float(weights[k]) * value
                if value > best:
                    best, place = value, (i, j)
        maximum[place] += float(weights[k]) * best
    return average, maximum


def test_maps_are_those_of_the_formulas() -> None:
    model = make()
    with torch.no_grad():
        features = model.features(IMAGES)
    found = compare_poolings(model, IMAGES, [[4], [0, 2]])
    for row, outputs in enumerate([[4], [0, 2]]):
        for index, output in enumerate(outputs):
            average, maximum = literal_maps(model, features[row], output)
            assert torch.allclose(found[row]["average"].maps[index], average, atol=1e-5)
            assert torch.allclose(found[row]["max"].maps[index], maximum, atol=1e-5)


def test_mean_and_sum_of_the_maps_are_the_scores_without_bias() -> None:
    model, outputs = make(), [0, 3, 5]
    for row in compare_poolings(model, IMAGES, [outputs, outputs]):
        bias = model.linear_head().bias[outputs].detach()
        assert torch.allclose(row["average"].maps.mean((1, 2)) + bias, row["average"].logits[outputs], atol=1e-5)
        assert torch.allclose(row["max"].maps.sum((1, 2)) + bias, row["max"].logits[outputs], atol=1e-5)


def test_average_pooling_gives_the_network_s_own_logits() -> None:
    for model in (make(), make(nn.LayerNorm(5))):
        with torch.no_grad():
            expected = model(IMAGES)
        found = compare_poolings(model, IMAGES, [[1], [1]])
        assert torch.allclose(torch.stack([row["average"].logits for row in found]), expected, atol=1e-5)
        assert not torch.allclose(found[0]["max"].logits, expected[0], atol=1e-3)


def test_a_head_of_several_layers_uses_gradients() -> None:
    model = make(nn.LayerNorm(5))
    with torch.no_grad():
        features = model.features(IMAGES[:1])[0]
    pooled = features.amax((1, 2)).requires_grad_()
    (weights,) = torch.autograd.grad(model.pooled_head(pooled[None])[0, 2], pooled)
    found = compare_poolings(model, IMAGES[:1], [[2]])[0]["max"].maps[0]
    assert float(found.sum()) == pytest.approx(float((weights * pooled).sum().detach()), abs=1e-5)
    assert int((found != 0).sum()) <= 5


def test_no_class_gives_no_map_but_logits() -> None:
    found = compare_poolings(make(), IMAGES[:1], [[]])[0]["max"]
    assert found.maps.shape == (0, 5, 7)
    assert found.logits.shape == (6,)


def test_a_head_without_pooling_is_refused() -> None:
    with pytest.raises(ModelError, match="needs a classifier with a pooled head, but flat_net has none"):
        compare_poolings(FlatNet().eval(), IMAGES[:, :, :8, :8], [[0], [0]])
