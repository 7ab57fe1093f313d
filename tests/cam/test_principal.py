"""First principal components from Gram matrices against singular vectors of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_eigen import first_component, kernel_component
from wsl.cam.principal import (
    compute_first_component,
    compute_first_kernel_component,
    top_eigenvector,
    turn_to_mean,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_equal_up_to_sign(found: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    flat = found.double().numpy()
    expected = expected * np.sign((flat * expected).sum())
    np.testing.assert_allclose(flat, expected, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("shape", [(40, 3, 4), (5, 7, 9), (12, 3, 4), (6, 1, 5), (1, 3, 3)])
def test_both_gram_matrices_give_the_singular_vector(shape: tuple[int, int, int]) -> None:
    values = normal(*shape).relu() + 0.1 * normal(*shape, seed=1)
    assert_equal_up_to_sign(compute_first_component(values), first_component(values.double().numpy()), 1e-5)


def test_a_large_map_with_a_common_offset_keeps_its_digits() -> None:
    values = normal(256, 14, 14).relu() + 100
    points = values.double().flatten(1).T
    points = points - points.mean(0)
    expected = (points @ torch.linalg.svd(points, full_matrices=False)[2][0]).reshape(14, 14)
    assert_equal_up_to_sign(compute_first_component(values), expected.numpy(), 1e-5)


@pytest.mark.parametrize("gamma", [None, 0.3])
@pytest.mark.parametrize("shape", [(20, 3, 4), (3, 5, 4)])
def test_kernel_component_equals_the_loop(shape: tuple[int, int, int], gamma: float | None) -> None:
    values = normal(*shape)
    expected = kernel_component(values.double().numpy(), gamma)
    assert_equal_up_to_sign(compute_first_kernel_component(values, gamma), expected, 1e-5)


@pytest.mark.parametrize("compute", [compute_first_component, compute_first_kernel_component])
def test_constant_single_and_not_finite_maps(compute: object) -> None:
    for values in (torch.full((4, 3, 3), 0.7), normal(4, 1, 1), torch.zeros(3, 2, 5)):
        found = compute(values)  # type: ignore[operator]
        assert found.shape == values.shape[1:]
        assert found.dtype == torch.float32
        assert found.abs().max() < 1e-6
    for odd in (torch.nan, torch.inf):
        values = normal(4, 3, 3)
        values[1, 2, 2] = odd
        assert compute(values).isnan().all()  # type: ignore[operator]


def test_top_eigenvector_by_hand() -> None:
    size, vector = top_eigenvector(torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    assert float(size) == pytest.approx(3)
    assert vector.abs().tolist() == pytest.approx([0.5**0.5] * 2)
    size, _ = top_eigenvector(-torch.eye(3, dtype=torch.float64))
    assert float(size) == 0


def test_sign_follows_the_mean_channel() -> None:
    values = torch.tensor([[[0.0, 1.0, 5.0]], [[1.0, 1.0, 1.0]]])
    component = torch.tensor([[-3.0, -2.0, 5.0]])
    assert torch.equal(turn_to_mean(component, values), component)
    assert torch.equal(turn_to_mean(-component, values), component)


def test_sign_without_correlation_makes_the_farthest_position_positive() -> None:
    component, flat = torch.tensor([[-3.0, 1.0, 2.0]]), torch.ones(2, 1, 3)
    assert torch.equal(turn_to_mean(component, flat), -component)
    assert torch.equal(turn_to_mean(-component, flat), -component)
