"""Gradients and Hessian products of many targets against finite differences, in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracles.cam_gradient_methods import gradient_by_differences, hessian_product_by_differences, normal
from tests.oracles.cam_networks import FlatNet, seeded
from wsl.cam import gradients
from wsl.cam.gradients import differentiate
from wsl.cam.targets import Logit, LogitAndLogProbability, Probability, Target
from wsl.errors import ModelError


def cubed(outputs: Tensor) -> Tensor:
    return (outputs[:, 0] ** 3 + outputs[:, 1]).sin()


TARGETS: list[list[Target]] = [
    [Logit((1,)), LogitAndLogProbability((0, 2)), cubed],
    [],
    [Probability((3,))],
]


def head() -> FlatNet:
    """In double precision, with scores that differ little, so that no softmax is saturated."""
    model = seeded(FlatNet()).double()
    with torch.no_grad():
        model.net["head"].weight *= 0.01
    return model


def score_of(model: FlatNet, target: Target) -> Callable[[np.ndarray], float]:
    def score(values: np.ndarray) -> float:
        with torch.no_grad():
            return target(model.tail(torch.from_numpy(values.copy())[None])).item()

    return score


@pytest.fixture
def recorded() -> tuple[FlatNet, Tensor, Tensor]:
    model = head()
    activation = normal(3, 3, 4, 4).double().requires_grad_()
    return model, activation, model.tail(activation.clone())


def test_gradients_equal_finite_differences(recorded: tuple[FlatNet, Tensor, Tensor]) -> None:
    model, activation, outputs = recorded
    (rows,) = differentiate(outputs, [activation], TARGETS)
    assert [each.shape for each in rows] == [(3, 3, 4, 4), (0, 3, 4, 4), (1, 3, 4, 4)]
    for row, each in enumerate(TARGETS):
        for k, target in enumerate(each):
            expected = gradient_by_differences(score_of(model, target), activation[row].detach().numpy())
            assert np.abs(expected).max() > 1e-4
            np.testing.assert_allclose(rows[row][k], expected, rtol=1e-5, atol=1e-9)


def test_hessian_products_equal_second_differences(recorded: tuple[FlatNet, Tensor, Tensor]) -> None:
    model, activation, outputs = recorded
    (rows,) = differentiate(outputs, [activation], TARGETS, times=activation.detach())
    for row, each in enumerate(TARGETS):
        assert rows[row].shape == (len(each), 3, 4, 4)
        for k, target in enumerate(each):
            expected = hessian_product_by_differences(score_of(model, target), activation[row].detach().numpy())
            assert np.abs(expected).max() > 1e-4
            np.testing.assert_allclose(rows[row][k], expected, rtol=1e-3, atol=1e-6)


def test_a_linear_head_has_no_second_derivative() -> None:
    activation = normal(1, 3).requires_grad_()
    for weight in (normal(3, 4), normal(3, 4).requires_grad_()):
        ((product,),) = differentiate(activation @ weight, [activation], [[Logit((1,))]], times=activation.detach())
        assert product.shape == (1, 3)
        assert not product.any()


def test_the_graph_is_kept_for_further_calls(recorded: tuple[FlatNet, Tensor, Tensor]) -> None:
    _, activation, outputs = recorded
    first, second = (differentiate(outputs, [activation], TARGETS)[0] for _ in range(2))
    for ours, other in zip(first, second, strict=True):
        assert torch.equal(ours, other)


def test_several_tensors_at_once_and_one_that_does_not_count() -> None:
    first, second, other = (normal(2, 3, seed=seed).requires_grad_() for seed in range(3))
    outputs = first * second.exp()
    rows = differentiate(outputs, [first, second, other], [[Logit((0,))], [Logit((2,)), Logit((1,))]])
    torch.testing.assert_close(
        rows[0][1][0], torch.stack([torch.zeros(()), torch.zeros(()), second[1, 2].exp()]).detach()
    )
    torch.testing.assert_close(rows[1][1][1], torch.stack([torch.zeros(()), outputs[1, 1], torch.zeros(())]).detach())
    assert [each.shape for each in rows[2]] == [(1, 3), (2, 3)]
    assert not any(each.any() for each in rows[2])


def test_all_targets_in_one_vectorised_pass(recorded: tuple[FlatNet, Tensor, Tensor]) -> None:
    # the path that a GPU takes
    _, activation, outputs = recorded
    targets: list[list[Target]] = [[Logit((0,)), Probability((1,)), Logit((2, 3))]] * 3
    expected = differentiate(outputs, [activation], targets)[0]
    scores = [gradients._slot_score(outputs, targets, slot) for slot in range(3)]
    found = gradients._batched(scores, [activation])
    assert found is not None
    for row in range(3):
        torch.testing.assert_close(torch.stack([each[row] for each in found[0]]), expected[row])


def test_what_cannot_be_vectorised_is_left_to_single_passes() -> None:
    activation, unused = normal(1, 3).requires_grad_(), normal(1, 3).requires_grad_()
    scores = [activation.sum(), activation.exp().sum()]
    assert gradients._batched(scores, [activation, unused]) is None


@pytest.mark.parametrize("vectorised", [False, True])
def test_small_gradients_of_half_precision_are_kept(vectorised: bool) -> None:
    activation = torch.ones(1, 4, dtype=torch.float16, requires_grad=True)
    outputs = (activation * 2e-4).float() * 1e-4  # 2e-8 is below the least number of float16
    if vectorised:
        found = gradients._batched([outputs[0, 0], outputs[0, 1]], [activation])
        assert found is not None
        slopes = torch.stack(found[0])[:, 0]
    else:
        slopes = differentiate(outputs, [activation], [[Logit((0,)), Logit((1,))]])[0][0]
    assert slopes.dtype == torch.float32
    torch.testing.assert_close(slopes[:, :2], torch.eye(2) * 2e-8, rtol=0.02, atol=0)


def test_outputs_without_a_graph_are_refused() -> None:
    with pytest.raises(ModelError, match="do not depend on the chosen layer by a differentiable path"):
        differentiate(normal(1, 3), [normal(1, 3).requires_grad_()], [[Logit((0,))]])


def test_no_targets_at_all() -> None:
    outputs = normal(2, 3).requires_grad_()
    (rows,) = differentiate(outputs * 2, [outputs], [[], []])
    assert [each.shape for each in rows] == [(0, 3), (0, 3)]
