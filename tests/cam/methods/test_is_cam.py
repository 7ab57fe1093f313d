"""IS-CAM against the loop over growing masks."""

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


def test_equals_the_loop_over_strengths() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("is_cam", model, x, [logits_of((1,), (0, 2))], samples=4)
    changes = [lambda mask, part=part: part * mask for part in (0.25, 0.5, 0.75, 1.0)]
    for row, group in enumerate([(1,), (0, 2)]):
        inputs = x[0].double().numpy(), activation_of(model, x), score_by(model, Logit(group))
        expected = score_cam(*inputs, changes=changes)
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-5)
        assert abs(expected - score_cam(*inputs)).max() > 1e-3  # the way to the mask matters


def test_one_sample_is_score_cam_and_ten_are_the_default() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("is_cam", model, x, [logits_of((1,))], samples=1)
    (expected,) = run_method("score_cam", model, x, [logits_of((1,))])
    assert torch.equal(found, expected)
    assert build_method("is_cam").samples == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize("build", [lambda: PooledNet(channels=7), build_tiny_vit])
def test_chunks_and_batches_do_not_change_the_maps(build: object) -> None:
    model, x = seeded(build()), normal(2, 3, 8, 8)  # type: ignore[operator]
    targets = [logits_of((0,), (1, 2)), []]
    together = run_method("is_cam", model, x, targets)
    chunked = run_method("is_cam", model, x, targets, batch_size=3)
    (alone,) = run_method("is_cam", model, x[:1], targets[:1])
    assert [len(maps) for maps in together] == [2, 0]
    torch.testing.assert_close(chunked[0], together[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone, together[0], rtol=1e-4, atol=1e-5)
