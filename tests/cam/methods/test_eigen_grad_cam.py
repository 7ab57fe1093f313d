"""EigenGradCAM against singular vectors of the activation times gradients by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.oracles.cam_eigen import first_component, like_mean
from tests.oracles.cam_masked import activation_of, flat_net, logits_of, run_method
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, check_same_state, describe_state, seeded


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def test_equals_the_singular_vector_of_each_class() -> None:
    model, x = flat_net(constant=False), normal(1, 3, 8, 8)
    (found,) = run_method("eigen_grad_cam", model, x, [logits_of((1,), (0, 2), (3,))])
    activation = activation_of(model, x)
    double = copy.deepcopy(model).double()
    leaf = torch.from_numpy(activation)[None].requires_grad_()
    outputs = double.tail(leaf.clone())[0]
    scores = [outputs[1], torch.logsumexp(outputs[[0, 2]], 0), outputs[3]]
    gradients = [torch.autograd.grad(each, leaf, retain_graph=True)[0][0].numpy() for each in scores]
    for row, each in enumerate(gradients):
        values = each * activation
        expected = like_mean(first_component(values), values)
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-3 * abs(expected).max())
    assert (found[0] - found[2]).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(16, 16), (20, 28)])
def test_a_pooled_linear_head_scales_the_channels(size: tuple[int, int]) -> None:
    model, x = seeded(PooledNet(channels=9)), normal(1, 3, *size)
    (found,) = run_method("eigen_grad_cam", model, x, [logits_of((4,))])
    with torch.no_grad():
        activation = model.features(x)[0].double().numpy()
    cells = activation.shape[1] * activation.shape[2]
    each = model.net["head"].weight[4].detach().double().numpy()[:, None, None] / cells
    values = each * activation
    expected = like_mean(first_component(values), values)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3 * abs(expected).max())


@pytest.mark.parametrize(
    ("build", "layer"), [(PooledNet, None), (flat_net, None), (build_tiny_vit, "net.encoder.layers.encoder_layer_0")]
)
def test_batches_do_not_mix(build: object, layer: str | None) -> None:
    model, x = seeded(build()), normal(3, 3, 8, 8)  # type: ignore[operator]
    targets = [logits_of((0,), (1, 2)), [], logits_of((2,))]
    together = run_method("eigen_grad_cam", model, x, targets, layer)
    assert [len(maps) for maps in together] == [2, 0, 1]
    for row in range(3):
        (alone,) = run_method("eigen_grad_cam", model, x[row : row + 1], [targets[row]], layer)
        assert together[row].shape[1:] == together[0].shape[1:]
        torch.testing.assert_close(together[row], alone, rtol=1e-3, atol=1e-4)


def test_a_class_without_gradient_gives_zeros() -> None:
    (found,) = run_method(
        "eigen_grad_cam", seeded(PooledNet()), normal(1, 3, 8, 8), [[lambda outputs: outputs[:, 1] * 0]]
    )
    assert torch.equal(found, torch.zeros_like(found))


def test_the_model_is_left_as_it_was() -> None:
    model = flat_net()
    before = describe_state(model)
    run_method("eigen_grad_cam", model, normal(1, 3, 8, 8), [logits_of((1,))])
    check_same_state(before, describe_state(model))
