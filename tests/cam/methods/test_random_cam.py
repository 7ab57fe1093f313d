"""Random CAM: one fixed draw of weights, no part of the class, no gradient."""

from __future__ import annotations

import pytest
import torch

from tests.oracles.cam_masked import flat_net, logits_of, run_method
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam.method import METHODS
from wsl.cam.trace import Trace


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("build", [PooledNet, flat_net, build_tiny_vit])
def test_every_image_and_class_has_the_weights_of_the_seed(build: object) -> None:
    model, x = seeded(build()), normal(3, 3, 8, 8)  # type: ignore[operator]
    found = run_method("random_cam", model, x, [logits_of((0,), (1,)), [], logits_of((2,))], seed=4)
    activation = Trace(model, x).activation(None)
    weights = torch.rand(activation.shape[1], generator=torch.Generator().manual_seed(4)) * 2 - 1
    expected = (weights[:, None, None] * activation).sum(1)
    assert [len(maps) for maps in found] == [2, 0, 1]
    for each, row in ((found[0][0], 0), (found[0][1], 0), (found[2][0], 2)):
        torch.testing.assert_close(each, expected[row], rtol=1e-4, atol=1e-5)


def test_weights_lie_between_minus_one_and_one() -> None:
    values = torch.eye(400)[:, None]  # position k shows the weight of channel k
    weights = METHODS.get("random_cam")().combine(values)[0]  # type: ignore[attr-defined]
    assert -1 <= float(weights.min()) < -0.9
    assert 0.9 < float(weights.max()) <= 1
    assert abs(float(weights.mean())) < 0.1


def test_the_seed_and_not_the_global_random_state_decides() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    (first,) = run_method("random_cam", model, x, [logits_of((1,))])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    (again,) = run_method("random_cam", model, x, [logits_of((1,))])
    (other,) = run_method("random_cam", model, x, [logits_of((1,))], seed=1)
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-3


def test_nothing_is_differentiated() -> None:
    assert METHODS.get("random_cam").needs == {"activations"}
