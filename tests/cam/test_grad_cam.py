"""Grad-CAM against finite differences; frozen, in-place and token networks; layers that cannot be used."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.oracles.cam_maps import grad_cam_by_differences, group_score
from tests.oracles.cam_networks import (
    FlatNet,
    PairNet,
    PooledNet,
    TwiceNet,
    build_tiny_vit,
    check_same_state,
    describe_state,
    seeded,
)
from wsl.cam.grad_cam import grad_cam
from wsl.errors import ModelError
from wsl.models.classifier import Classifier


def images(count: int = 1, size: tuple[int, int] = (8, 8)) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("group", [(1,), (0, 2, 3)])
def test_maps_equal_finite_differences_with_an_inplace_layer_behind(group: tuple[int, ...]) -> None:
    model, x = seeded(FlatNet()), images()
    (found,) = grad_cam(model, x).maps([[group]])
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        activation = double.net["target"](double.net["stem"](x.double()))[0]
    assert (activation < 0).any()  # the in-place ReLU would overwrite these

    def score(values: np.ndarray) -> float:
        with torch.no_grad():
            return group_score(double.tail(torch.from_numpy(values.copy())[None])[0].tolist(), group)

    expected = grad_cam_by_differences(score, activation.numpy().copy())
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-3, atol=1e-4)


def test_pooled_linear_head_gives_the_weights_themselves() -> None:
    model, x = seeded(PooledNet()), images(1, (8, 12))
    (found,) = grad_cam(model, x).maps([[(4,)]])
    with torch.no_grad():
        expected = (model.net["head"].weight[4][:, None, None] * model.features(x)[0]).sum(0)
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [PooledNet, FlatNet, build_tiny_vit])
def test_slots_and_batches_do_not_mix(build: type[Classifier]) -> None:
    model, x = seeded(build()), images(3)
    targets = [[(0,), (1, 2)], [], [(2,)]]
    together = grad_cam(model, x).maps(targets)
    assert [len(maps) for maps in together] == [2, 0, 1]
    for row in range(3):
        (alone,) = grad_cam(model, x[row : row + 1]).maps([targets[row]])
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


def test_no_class_at_all_gives_empty_maps_of_the_right_size() -> None:
    (first, second) = grad_cam(seeded(PooledNet()), images(2, (8, 12))).maps([[], []])
    assert first.shape == second.shape == (0, 2, 3)


def test_an_early_layer_is_differentiated_through_the_rest() -> None:
    model, x = seeded(PooledNet()), images(1, (8, 12))
    (found,) = grad_cam(model, x, "net.stem.1").maps([[(2,)]])
    with torch.no_grad():
        activation = model.net["stem"][1](model.net["stem"][0](x)).requires_grad_()
    logits = model.pooled_head(model.net["body"](functional.relu(activation)).mean((2, 3)))
    (slope,) = torch.autograd.grad(logits[0, 2], activation)
    expected = (slope.sum((2, 3), keepdim=True) * activation).sum(1).detach()
    assert found.shape == (1, 4, 6)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_tokens_of_a_transformer_are_a_map_without_the_class_token() -> None:
    model, x = seeded(build_tiny_vit()), images(1, (16, 24))
    (found,) = grad_cam(model, x).maps([[(1,)]])
    seen: list[torch.Tensor] = []
    handle = model.get_submodule(model.default_layer).register_forward_hook(lambda _m, _i, o: seen.append(o))
    logits = model(x)
    handle.remove()
    (slope,) = torch.autograd.grad(logits[0, 1], seen[0])
    expected = torch.zeros(2, 3)
    for row in range(2):
        for column in range(3):
            token = seen[0][0, 1 + 3 * row + column]
            expected[row, column] = (slope[0, 1:].sum(0) * token).sum()
    assert found.abs().max() > 1e-4
    torch.testing.assert_close(found[0], expected.detach(), rtol=1e-3, atol=1e-5)


def test_frozen_models_and_callers_without_gradients_get_the_same_maps() -> None:
    model, x = seeded(PooledNet()), images()
    (expected,) = grad_cam(model, x).maps([[(1,)]])
    model.requires_grad_(False)
    with torch.no_grad():
        (found,) = grad_cam(model, x).maps([[(1,)]])
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_model_is_left_as_it_was() -> None:
    model = seeded(FlatNet())
    model.net["head"].weight.grad = torch.ones_like(model.net["head"].weight)
    before = describe_state(model)
    grad_cam(model, images()).maps([[(1,), (0, 2)]])
    with pytest.raises(ModelError):
        grad_cam(model, images(), "net.nothing")
    check_same_state(before, describe_state(model))


@pytest.mark.parametrize(
    ("model", "layer", "message"),
    [
        (PooledNet(), "net.bodi", r"pooled_net has no layer 'net.bodi'. Did you mean: net.body\?"),
        (PooledNet(), "net.unused", "layer 'net.unused' is not on the way from the image to the class scores"),
        (TwiceNet(), "net.body.2", "layer 'net.body.2' runs more than once in a forward pass; choose another"),
        (PairNet(), "net.pair", "layer 'net.pair' gives a tuple, not a map; choose another"),
        (PooledNet(), "net.head", r"expected a layer with output \(B, C, h, w\), but got shape \(1, 6\)"),
    ],
)
def test_layers_that_cannot_be_used_are_named(model: Classifier, layer: str, message: str) -> None:
    before = describe_state(model.eval())
    with pytest.raises(ModelError, match=message):
        grad_cam(model, images(), layer).maps([[(0,)]])
    check_same_state(before, describe_state(model))
    assert torch.is_grad_enabled()
