"""SS-CAM against the loop with the same noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_masked import activation_of, flat_net, logits_of, run_method, score_by, score_cam
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def test_equals_the_loop_with_the_same_noise() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("ss_cam", model, x, [logits_of((1,), (0, 2))], samples=4, sigma=0.7, seed=9)
    generator = torch.Generator().manual_seed(9)
    fields = [0.7 * torch.randn(8, 8, generator=generator).double().numpy() for _ in range(4)]
    changes = [lambda mask, noise=noise: mask + noise for noise in fields]
    for row, group in enumerate([(1,), (0, 2)]):
        inputs = x[0].double().numpy(), activation_of(model, x), score_by(model, Logit(group))
        expected = score_cam(*inputs, changes=changes)
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-5)
        assert abs(expected - score_cam(*inputs)).max() > 1e-3  # the noise matters


def test_published_numbers_are_the_defaults() -> None:
    method = build_method("ss_cam")
    assert (method.samples, method.sigma) == (35, 2.0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("build", [lambda: PooledNet(channels=7), build_tiny_vit])
def test_chunks_batches_and_the_global_random_state_do_not_matter(build: object) -> None:
    model, x = seeded(build()), normal(2, 3, 8, 8)  # type: ignore[operator]
    targets = [logits_of((0,), (1, 2)), []]
    torch.manual_seed(1)
    together = run_method("ss_cam", model, x, targets, samples=3)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    chunked = run_method("ss_cam", model, x, targets, samples=3, batch_size=3)
    (alone,) = run_method("ss_cam", model, x[:1], targets[:1], samples=3)
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)  # no draw from it
    assert [len(maps) for maps in together] == [2, 0]
    torch.testing.assert_close(chunked[0], together[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone, together[0], rtol=1e-4, atol=1e-5)


def test_the_seed_chooses_the_noise() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    first, again, other = (
        run_method("ss_cam", model, x, [logits_of((1,))], samples=2, seed=seed)[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-4
