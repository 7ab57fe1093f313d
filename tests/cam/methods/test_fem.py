"""FEM by hand and against the loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_eigen import fem
from tests.oracles.cam_masked import activation_of, flat_net, logits_of, run_method
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.trace import Trace


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def test_by_hand() -> None:
    """One position of nine is rare in the first channel, none in the second, and a constant channel has none."""
    values = torch.zeros(3, 3, 3)
    values[0, 1, 1] = 9.0  # mean 1, standard deviation 2.83
    values[1] = torch.arange(9.0).reshape(3, 3)
    values[2] = 0.1  # whose mean may be rounded
    found = build_method("fem").combine(values)  # type: ignore[attr-defined]
    expected = torch.zeros(3, 3)
    expected[1, 1] = 1.0
    torch.testing.assert_close(found, expected)


def test_five_positions_are_too_few() -> None:
    values = torch.zeros(1, 1, 6)
    values[..., 0] = 1
    method = build_method("fem")
    assert not method.combine(values[..., :5]).any()  # type: ignore[attr-defined]
    assert method.combine(values).any()  # type: ignore[attr-defined]


@pytest.mark.parametrize("deviations", [2.0, 1.0, 0.5])
def test_equals_the_loop_for_every_class(deviations: float) -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("fem", model, x, [logits_of((1,), (0, 2))], deviations=deviations)
    expected = fem(activation_of(model, x), deviations)
    for each in found:
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [lambda: PooledNet(channels=9), build_tiny_vit])
def test_pooled_maps_and_tokens_of_batches(build: object) -> None:
    model, x = seeded(build()), normal(3, 3, 24, 40)  # type: ignore[operator]
    found = run_method("fem", model, x, [logits_of((1,)), [], logits_of((0,))])
    activation = Trace(model, x).activation(None).double().numpy()
    assert [len(maps) for maps in found] == [1, 0, 1]
    for row in (0, 2):
        assert fem(activation[row]).any()
        np.testing.assert_allclose(found[row][0], fem(activation[row]), rtol=1e-4, atol=1e-5)
